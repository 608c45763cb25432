"""Counts what a run gave, in the transaction that moves its cursor."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import BigIntegerField, Case, DurationField, F, QuerySet, When
from django.db.models.functions import Coalesce, Greatest

from router.contract.digest import MODULUS, digest_of
from router.db.statements import Param, Statement, Update
from router.models import Clock, Run

RUN = Param("run_id", BigIntegerField())
COUNT = Param("count", BigIntegerField())
DIGEST = Param("digest", BigIntegerField())
ROOM = Param("room", BigIntegerField())
PAUSE = Param("pause", DurationField())
#: A rate is kept over so many seconds: events are given in groups of so many.
RATE_SECONDS = 0.25


def given(
    run_id: int, rate: float | None, names: Iterable[tuple[str, str]]
) -> Statement:
    """The statement that adds these events, by source and id, to what a run gave, and
    ends its pause when they have had their time."""
    events = list(names)
    digest = digest_of(events)
    pause = timedelta(seconds=len(events) / rate) if rate else timedelta()
    return _GIVEN.bound(
        run_id=run_id,
        count=len(events),
        digest=digest,
        room=MODULUS - 1 - digest,
        pause=pause,
    )


def at_rate(rate: float | None, limit: int) -> int:
    """How many events, up to a limit, a run may give at a time."""
    return min(limit, max(1, int(rate * RATE_SECONDS))) if rate else limit


def _given() -> tuple[QuerySet[Run], dict[str, Any]]:
    # The sum would not fit into the column.
    sum_of_both = Case(
        When(digest__gt=ROOM, then=F("digest") - ROOM - 1),
        default=F("digest") + DIGEST,
    )
    later = Greatest(Coalesce("next_at", Clock()), Clock()) + PAUSE
    return Run.objects.filter(pk=RUN), {
        "count": F("count") + COUNT,
        "digest": sum_of_both,
        "next_at": Case(When(rate_per_second__isnull=False, then=later)),
    }


_GIVEN = Update(_given)
