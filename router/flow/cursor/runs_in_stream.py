"""The runs of streamed subscribers: which is served next, and when it is its turn."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Any

from django.db.models import BigIntegerField, F, Q, QuerySet

from router.contract.pacing import Every
from router.db.statements import IDS, Param, Select
from router.flow.cursor.at_gap import IS_BESIDE_GAP
from router.flow.cursor.turn import may_be_rung
from router.models import Clock, Run, Subscriber

#: What is known of the runs that there are may be so old.
LOOK_SECONDS = 1.0
#: So many chunks of the live cursor in a row are followed by one of a run.
MAX_LIVE = 3
#: So long after a live event the chunks of the subscriber's runs are short: the next
#: live one waits for such a chunk.
LIVE_SECONDS, SHORT_SECONDS = 1.0, 0.05
OF_SUBSCRIBER = Param("subscriber_id", BigIntegerField())


class Looking:
    """The subscribers with an active run that is served in the stream, as far as one
    process knows."""

    def __init__(self) -> None:
        self.forget()
        self._known: frozenset[int] = frozenset()

    def forget(self) -> None:
        self._look = Every(LOOK_SECONDS)

    def known(self) -> frozenset[int]:
        if self._look.is_due():
            self._known = frozenset(pk for (pk,) in _WITH_RUNS.rows())
        return self._known


_looking = Looking()
#: Primary key of a subscriber → chunks of its live cursor since the last of a run.
_live_in_a_row: Counter[int] = Counter()
#: Primary key of a subscriber → when this process last served a live event of it.
_live_at: dict[int, float] = {}


def look_again() -> None:
    """Know of runs that were begun within the last second."""
    _looking.forget()


def known() -> frozenset[int]:
    """The subscribers with a run, as of some moment within the last second."""
    return _looking.known()


def may_have(subscriber_id: int) -> bool:
    """Whether it has one."""
    return subscriber_id in _looking.known()


def is_turn_of_run(subscriber_id: int) -> bool:
    """Whether a run goes before live events now: never twice in a row, or a live event
    would wait for two chunks."""
    return _live_in_a_row[subscriber_id] >= MAX_LIVE


def note_chunk(subscriber_id: int, *, is_live: bool, has_events: bool) -> None:
    """A chunk of the live cursor, or of a run, was taken."""
    _live_in_a_row[subscriber_id] += 1
    if not is_live:
        _live_in_a_row[subscriber_id] = 0
    elif has_events:
        _live_at[subscriber_id] = time.monotonic()


def is_beside_live(subscriber_id: int) -> bool:
    """Whether live events of it come as well."""
    live_at = _live_at.get(subscriber_id, -math.inf)
    return time.monotonic() - live_at < LIVE_SECONDS


def most_seconds(subscriber_id: int) -> float:
    """How long a chunk of a run may take at most."""
    return SHORT_SECONDS if is_beside_live(subscriber_id) else math.inf


def next_run(subscriber_id: int) -> Run | None:
    """The oldest run that may be served now; None where there is none."""
    return next(iter(_NEXT.models(subscriber_id=subscriber_id)), None)


def subscribers_to_ring(ids: frozenset[int]) -> set[int]:
    """Those of these that are free, and have a run that may be served now."""
    return {pk for (pk,) in _TO_RING.rows(ids=list(ids))} if ids else set()


def _in_stream() -> Any:
    """Active runs whose events need no deliveries: see `router.flow.route.run_windows`
    for all others."""
    return Run.objects.active().filter(
        subscriber__deleted_at__isnull=True,
        subscriber__is_streamed=True,
        only_failed=False,
        chosen__isnull=True,
    )


def _ready() -> Any:
    is_time = Q(next_at__isnull=True) | Q(next_at__lte=Clock())
    positioned = _in_stream().with_position()
    return positioned.filter(is_time, IS_BESIDE_GAP, position__lt=F("end"))


def _next() -> QuerySet[Run]:
    ids = _ready().filter(subscriber=OF_SUBSCRIBER).order_by("pk").values("pk")[:1]
    return Run.objects.filter(pk__in=ids)


def _to_ring() -> QuerySet[Subscriber, Any]:
    turns = may_be_rung().filter(subscriber__id__in_array=IDS)
    with_run = Subscriber.objects.filter(pk__in=_ready().values("subscriber"))
    return with_run.filter(pk__in=turns.values("pk")).values_list("pk")


_WITH_RUNS = Select(lambda: _in_stream().values_list("subscriber_id"))
_NEXT = Select(_next)
_TO_RING = Select(_to_ring)
