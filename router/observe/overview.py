"""The state of each subscriber, at a cost that grows with open work only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from router.models import (
    Acknowledgement,
    Attempt,
    AttemptResult,
    BreakerState,
    Clock,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    IngressFailedTask,
    Subscriber,
    SubscriberState,
)
from router.models.subscriber import is_handler_missing
from router.observe.above import NOTHING_ABOVE, Above, owed_above_cursors

#: Counts of what may be without end stop here: "10000" means "that many or more".
CAP = 10_000


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What a subscriber is owed, by what happens to it next."""

    #: Leased, or due.
    moving: int
    #: Its next attempt has a time.
    waiting: int
    #: Stopped by breaker, pause, missing code, or another event of its key.
    held: int


@dataclass(frozen=True, kw_only=True)
class SubscriberOverview:
    """One subscriber and what is open for it."""

    subscriber: Subscriber
    #: Events that are owed; `retrying` of them have failed before.
    waiting: int
    #: Whether further events of the log may wait: they are not all looked at.
    has_more_waiting: bool
    #: Under a lease.
    working: int
    retrying: int
    #: Of `waiting`: those whose time has come, and those behind another of their key.
    due: int
    held_in_order: int
    oldest_waiting_at: datetime | None
    #: Of all that is open.
    oldest_owed_at: datetime | None
    open_failed: int
    #: The newest of them.
    newest_failed_id: int | None
    #: The group of all of them, where they have one cause.
    only_cause_id: int | None
    #: It was declared once, and no installed code has its name: its events are held.
    is_handler_missing: bool

    @property
    def is_stopped(self) -> bool:
        """Whether no delivery of it is tried but the probes of its breaker."""
        return (
            self.is_handler_missing
            or self.subscriber.state != SubscriberState.ACTIVE
            or self.subscriber.breaker == BreakerState.OPEN
        )

    @property
    def backlog(self) -> Backlog:
        if self.is_stopped:
            return Backlog(moving=self.working, waiting=0, held=self.waiting)
        return Backlog(
            moving=self.working + self.due,
            waiting=self.waiting - self.due - self.held_in_order,
            held=self.held_in_order,
        )


def subscribers_overview() -> list[SubscriberOverview]:
    """Every known subscriber, by name, in five statements, and a sixth while events
    wait above cursors."""
    above = owed_above_cursors()
    waiting = _by_subscriber(pending_counts())
    working = _by_subscriber(leased_counts())
    failed = _by_subscriber(open_failed_counts())
    return [
        _overview(
            subscriber,
            waiting.get(subscriber.pk, NO_PENDING),
            working.get(subscriber.pk, NO_LEASED),
            above.get(subscriber.pk, NOTHING_ABOVE),
            failed.get(subscriber.pk, NO_FAILED),
        )
        for subscriber in Subscriber.objects.known().order_by("name")
    ]


NO_PENDING = {"total": 0, "retrying": 0, "due": 0, "held": 0, "oldest": None}
NO_LEASED = {"total": 0, "oldest": None}
NO_FAILED = {"total": 0, "newest": None, "causes": 0, "cause": None}


def _overview(
    subscriber: Subscriber,
    pending: dict[str, Any],
    leased: dict[str, Any],
    above: Above,
    failed: dict[str, Any],
) -> SubscriberOverview:
    return SubscriberOverview(
        subscriber=subscriber,
        waiting=pending["total"] + above.waiting,
        has_more_waiting=above.has_more,
        working=leased["total"] + above.working,
        retrying=pending["retrying"],
        due=pending["due"] + above.waiting,
        held_in_order=pending["held"],
        oldest_waiting_at=_oldest(pending["oldest"], above.oldest_waiting_at),
        oldest_owed_at=_oldest(
            pending["oldest"],
            leased["oldest"],
            above.oldest_waiting_at,
            above.oldest_working_at,
        ),
        open_failed=failed["total"],
        newest_failed_id=failed["newest"],
        only_cause_id=failed["cause"] if failed["causes"] == 1 else None,
        is_handler_missing=is_handler_missing(subscriber),
    )


def _oldest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def unrouted_count() -> int:
    """Events that are recorded and not yet routed, at most `CAP`."""
    return EventRecord.objects.filter(position__isnull=True)[:CAP].count()


def open_failed_count() -> int:
    """Failed tasks that need attention, at most `CAP`."""
    return FailedTask.objects.open()[:CAP].count()


def open_ingress_count() -> int:
    """Messages that bridges could not publish and nobody settled, at most `CAP`."""
    return IngressFailedTask.objects.open()[:CAP].count()


def pending_counts() -> QuerySet[Any, Any]:
    rows = Delivery.objects.filter(state=DeliveryState.PENDING).values("subscriber_id")
    return rows.annotate(
        total=Count("pk"),
        retrying=Count("pk", filter=Q(failures__gt=0)),
        due=Count("pk", filter=Q(due_at__lte=Clock())),
        held=Count("pk", filter=Q(due_at__isnull=True)),
        oldest=Min("created_at"),
    )


def leased_counts() -> QuerySet[Any, Any]:
    rows = Delivery.objects.filter(state=DeliveryState.LEASED).values("subscriber_id")
    return rows.annotate(total=Count("pk"), oldest=Min("created_at"))


def open_failed_counts() -> QuerySet[Any, Any]:
    rows = FailedTask.objects.open().values("subscriber_id")
    return rows.annotate(
        total=Count("pk"),
        newest=Max("pk"),
        causes=Count("group", distinct=True),
        cause=Max("group"),
    )


def _by_subscriber(rows: QuerySet[Any, Any]) -> dict[int, dict[str, Any]]:
    return {row["subscriber_id"]: row for row in rows}


#: The log has no index by time; no more of its end than this is looked at.
LOOK_BACK = 50_000


def acknowledged_last_minute() -> dict[int, int]:
    """Primary key of a subscriber → events that it acknowledged in the last minute.

    `LOOK_BACK` attempts, and as many chunks, are looked at: more are not counted.
    """
    counts: Counter[int] = Counter()
    for rows in (_acknowledged_singly(), _acknowledged_in_chunks()):
        counts.update(dict(rows))
    return dict(counts)


def _acknowledged_singly() -> Any:
    rows = _newest(Attempt.objects.all()).filter(
        result=AttemptResult.ACKNOWLEDGED, ended_at__gt=Clock() - timedelta(minutes=1)
    )
    counted = rows.order_by().values("delivery__subscriber_id")
    return counted.annotate(total=Count("pk")).values_list(
        "delivery__subscriber_id", "total"
    )


def _acknowledged_in_chunks() -> Any:
    rows = _newest(Acknowledgement.objects.all()).filter(
        acknowledged_at__gt=Clock() - timedelta(minutes=1)
    )
    counted = rows.order_by().values("cursor__subscriber_id")
    return counted.annotate(total=Sum("count")).values_list(
        "cursor__subscriber_id", "total"
    )


def _newest(rows: QuerySet[Any]) -> QuerySet[Any]:
    last = rows.order_by("-pk").values_list("pk", flat=True).first() or 0
    return rows.filter(pk__gt=last - LOOK_BACK)
