"""The first page of the admin: what is wrong, and is every event on its way?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext

from router.admin.flow_picture import flow_picture
from router.admin.incidents import Strip, strips
from router.charts import WINDOWS, all_charts, bar_path, chosen_window, rate
from router.display import NOTHING, at_least, backlog_words
from router.observe.incidents import IncidentKind, incidents
from router.observe.overview import (
    SubscriberOverview,
    open_failed_count,
    unrouted_count,
)
from router.observe.series import (
    Bucket,
    Window,
    acknowledged_by_minute,
    series,
)
from router.observe.situation import Situation
from router.observe.wording import retried_counted

SPARK_WIDTH, SPARK_HEIGHT = 120, 24
#: Seconds between two looks: hours change more slowly than minutes.
REFRESH_SECONDS = {Window.HOUR: 5, Window.DAY: 60, Window.WEEK: 60}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A subscriber as the table shows it."""

    overview: SubscriberOverview
    #: Events that it acknowledged in each minute of the last hour, as bars.
    spark: str
    rate: str
    #: `2,002 held · 3 waiting`.
    backlog: str
    error: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The index page's context, with the router's numbers if the user may see them."""
    if not request.user.has_perm("router.view_subscriber"):
        return context
    situation = Situation.read()
    shown = strips(incidents(situation))
    overviews = _worst_first(situation.overviews, shown)
    by_minute = acknowledged_by_minute(situation.now)
    rates = {pk: counts[-1] / 60 for pk, counts in by_minute.items()}
    window = chosen_window(request, default=Window.HOUR)
    buckets = series(window, now=situation.now)
    unrouted = unrouted_count()
    return {
        **context,
        "title": gettext("Dashboard"),
        "may_look": True,
        "strips": shown,
        "flow": flow_picture(overviews, rates, _tones(overviews, shown)),
        "subscribers": _rows(overviews, situation, by_minute),
        "unrouted": unrouted,
        "recorded": situation.recorded + unrouted,
        **_backlog(overviews),
        "open_failed": open_failed_count(),
        "signs": situation.signs,
        "charts": all_charts(buckets),
        "published": rate(_published(window, buckets, situation)),
        "window": window,
        "windows": WINDOWS.items(),
        "refresh_seconds": REFRESH_SECONDS[window],
    }


def _published(
    window: Window, buckets: Sequence[Bucket], situation: Situation
) -> float:
    """Events a second, in the last whole minute."""
    if window is not Window.HOUR:
        buckets = series(Window.HOUR, now=situation.now)
    return buckets[-1].per_second(buckets[-1].published)


def _tones(
    overviews: Sequence[SubscriberOverview], shown: Sequence[Strip]
) -> dict[int, str]:
    """Primary key of a subscriber → the tone of the worst that is wrong with it.

    Those that acknowledged something are well, while all processes work: of others
    nothing is known.
    """
    kinds = {strip.incident.kind for strip in shown}
    well = {
        each.subscriber.pk: "ok"
        for each in overviews
        if each.subscriber.last_acknowledged_at and IncidentKind.PROCESS not in kinds
    }
    return well | {
        strip.incident.subscriber.pk: strip.tone
        for strip in reversed(shown)
        if strip.incident.subscriber
    }


def _worst_first(
    overviews: Sequence[SubscriberOverview], shown: Sequence[Strip]
) -> list[SubscriberOverview]:
    """In the order of their incidents, then those that are well, by title."""
    places: dict[int, int] = {}
    for place, strip in enumerate(shown):
        if strip.incident.subscriber:
            places.setdefault(strip.incident.subscriber.pk, place)
    return sorted(
        overviews,
        key=lambda row: (
            places.get(row.subscriber.pk, len(shown)),
            str(row.subscriber).lower(),
        ),
    )


def _rows(
    overviews: Sequence[SubscriberOverview],
    situation: Situation,
    by_minute: dict[int, list[int]],
) -> list[Row]:
    top = max((max(counts) for counts in by_minute.values()), default=0)
    nothing = [0]
    return [
        Row(
            overview=each,
            spark=bar_path(
                by_minute.get(each.subscriber.pk, nothing),
                top,
                SPARK_WIDTH,
                SPARK_HEIGHT,
            ),
            rate=rate(by_minute.get(each.subscriber.pk, nothing)[-1] / 60),
            backlog=backlog_words(each) or NOTHING,
            error=situation.failure(each),
        )
        for each in overviews
    ]


def _backlog(overviews: Sequence[SubscriberOverview]) -> dict[str, Any]:
    backlogs = [each.backlog for each in overviews]
    has_more = {each.is_stopped for each in overviews if each.has_more_waiting}
    retrying = sum(each.retrying for each in overviews)
    held = sum(each.held for each in backlogs)
    return {
        "moving": at_least(sum(each.moving for each in backlogs), False in has_more),
        "waiting": sum(each.waiting for each in backlogs),
        "held": at_least(held, True in has_more),
        "held_count": held,
        "retrying": retrying,
        "retried": retried_counted(retrying),
    }
