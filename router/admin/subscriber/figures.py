"""What the page of a subscriber shows of its state and its past."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext

from router.admin.incidents import strips
from router.admin.subscriber.snippet import snippet
from router.charts import WINDOWS, all_charts, chosen_window, latency
from router.display import NOTHING
from router.models import Subscriber
from router.observe.attempts import last_tried
from router.observe.incidents import of_subscribers
from router.observe.naming import whole_number
from router.observe.series import ACKNOWLEDGED, Window
from router.observe.situation import Situation
from router.observe.statistics import Statistics, overview_of, statistics_in
from router.observe.wording import attempts_counted, grouped

MAX_TRIED = 20
ON_PAGE, MAX_PAGES = 50, 20
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def figures(request: HttpRequest, row: Subscriber) -> dict[str, Any]:
    """What is wrong, charts, figures, and the last attempts; for its template."""
    situation = Situation.of([overview_of(row)])
    wrong = of_subscribers(situation)
    window = chosen_window(request, default=Window.HOUR if wrong else Window.DAY)
    found = statistics_in(situation, window)
    return {
        "overview": found.overview,
        "strips": strips(wrong, page_of=row),
        "window": window,
        "windows": WINDOWS.items(),
        "charts": all_charts(found.buckets, of_one=True),
        "success_rate": _success(found),
        "latencies": [
            (title, _latency(found, share)) for title, share in SHARES.items()
        ],
        "tried": last_tried(row, MAX_TRIED),
        "tried_today": _tried_today(found),
        "snippet": snippet(row),
    }


def attempts_page(request: HttpRequest, row: Subscriber) -> dict[str, Any]:
    """The attempts of the last 24 hours, by pages: `?page=2`; `?failed=1` leaves out
    the successes."""
    is_failed = request.GET.get("failed") == "1"
    page = min(max(1, whole_number(request.GET.get("page", "")) or 1), MAX_PAGES)
    since = timezone.now() - timedelta(days=1)
    limit = page * ON_PAGE
    found = last_tried(row, limit + 1, since=since, is_failed=is_failed)
    has_more = len(found) > limit and page < MAX_PAGES
    return {
        "title": gettext("Attempts of %(subscriber)s in the last 24 hours")
        % {"subscriber": row},
        "subscriber": row,
        "tried": found[limit - ON_PAGE : limit],
        "is_failed": is_failed,
        "next_page": page + 1 if has_more else None,
    }


def _tried_today(found: Statistics) -> str:
    """`1,234 attempts in 24 hours, 3 failed`."""
    day = found.of(Window.DAY).attempts
    total = sum(day.values())
    failed = total - day.get(ACKNOWLEDGED, 0)
    text = (
        gettext("%(attempts)s in 24 hours, %(failed)s failed")
        if failed
        else gettext("%(attempts)s in 24 hours")
    )
    return text % {"attempts": attempts_counted(total), "failed": grouped(failed)}


def _success(found: Statistics) -> str:
    """`99.8 %`; never 100 % of what did not all succeed."""
    rate = found.success_rate
    if rate is None:
        return NOTHING
    return "100 %" if rate == 1 else f"{grouped(min(99.9, rate * 100), digits=1)} %"


def _latency(found: Statistics, share: float) -> str:
    seconds = found.latency(share)
    return NOTHING if seconds is None else latency(seconds)
