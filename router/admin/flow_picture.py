"""How events flow, as a picture with the numbers of now on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from router.charts import rate
from router.display import backlog_words
from router.observe.overview import SubscriberOverview
from router.observe.wording import failed_counted

#: Subscribers that the picture shows; the table below it has all.
MAX_SHOWN = 7
#: Characters of a title that fit into its box.
MAX_TITLE = 22
TOP, STEP, BOX = 58, 57, 47
MIN_HEIGHT = 340


@dataclass(frozen=True, kw_only=True)
class Place:
    """A subscriber in the picture."""

    overview: SubscriberOverview
    title: str
    text: str
    tone: str
    link: str
    y: int

    @property
    def middle(self) -> float:
        return self.y + BOX / 2


@dataclass(frozen=True, kw_only=True)
class FlowPicture:
    """What the picture shows beside the numbers of the page."""

    places: tuple[Place, ...]
    height: int
    more: int


def flow_picture(
    overviews: Sequence[SubscriberOverview],
    rates: dict[int, float],
    tones: dict[int, str],
) -> FlowPicture:
    """The first subscribers, each with its rate a second and its backlog; `tones` has
    those of which is known whether they are well."""
    shown = overviews[:MAX_SHOWN]
    places = tuple(
        Place(
            overview=each,
            title=_short(str(each.subscriber)),
            text=_numbers(each, rates.get(each.subscriber.pk, 0.0)),
            tone=tones.get(each.subscriber.pk, "quiet"),
            link=reverse("admin:router_subscriber_change", args=[each.subscriber.pk]),
            y=TOP + STEP * place,
        )
        for place, each in enumerate(shown)
    )
    more = len(overviews) - len(shown)
    height = TOP + STEP * len(shown) + (28 if more else 10)
    return FlowPicture(places=places, height=max(MIN_HEIGHT, height), more=more)


def _short(title: str) -> str:
    return title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1].rstrip()}…"


def _numbers(overview: SubscriberOverview, per_second: float) -> str:
    """`0.2/s · 3 moving`; with what needs attention where nothing is owed."""
    failed = overview.open_failed
    words = backlog_words(overview) or (failed_counted(failed) if failed else "")
    return f"{rate(per_second)} · {words}" if words else rate(per_second)
