"""What the page of a subscriber shows of its state and its past."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from router.admin.incidents import strips
from router.admin.subscriber.snippet import snippet
from router.charts import all_charts, chosen_window, latency
from router.display import NOTHING
from router.models import Subscriber
from router.observe.attempts import last_tried
from router.observe.incidents import of_subscribers
from router.observe.series import Window
from router.observe.statistics import Statistics, statistics_of

MAX_TRIED = 20
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def figures(request: HttpRequest, row: Subscriber) -> dict[str, Any]:
    """What is wrong, charts, figures, and the last attempts; for its template."""
    window = chosen_window(request, default=Window.DAY)
    found = statistics_of(row, window)
    return {
        "overview": found.overview,
        "strips": strips(of_subscribers(found.situation), page_of=row),
        "window": window,
        "windows": list(Window),
        "charts": all_charts(found.buckets, of_one=True),
        "success_rate": _success(found),
        "latencies": [
            (title, _latency(found, share)) for title, share in SHARES.items()
        ],
        "tried": last_tried(row, MAX_TRIED),
        "snippet": snippet(row),
    }


def _success(found: Statistics) -> str:
    """`99.8 %`; never 100 % of what did not all succeed."""
    rate = found.success_rate
    if rate is None:
        return NOTHING
    return "100 %" if rate == 1 else f"{min(99.9, rate * 100):.1f} %"


def _latency(found: Statistics, share: float) -> str:
    seconds = found.latency(share)
    return NOTHING if seconds is None else latency(seconds)
