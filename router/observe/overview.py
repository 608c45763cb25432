"""The state of each subscriber, at a cost that grows with open work only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from router.models import (
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
    #: PENDING; `retrying` of them have failed before.
    waiting: int
    #: LEASED.
    working: int
    retrying: int
    #: Of `waiting`: those whose time has come, and those behind another of their key.
    due: int
    held_in_order: int
    oldest_waiting_at: datetime | None
    #: When the oldest was routed of all that is open.
    oldest_owed_at: datetime | None
    open_failed: int
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
    """Every known subscriber, by name, in four statements."""
    waiting = _by_subscriber(pending_counts())
    working = _by_subscriber(leased_counts())
    failed = _by_subscriber(open_failed_counts())
    return [
        _overview(
            subscriber,
            waiting.get(subscriber.pk, NO_PENDING),
            working.get(subscriber.pk, NO_LEASED),
            open_failed=failed.get(subscriber.pk, {}).get("total", 0),
        )
        for subscriber in Subscriber.objects.known().order_by("name")
    ]


NO_PENDING = {"total": 0, "retrying": 0, "due": 0, "held": 0, "oldest": None}
NO_LEASED = {"total": 0, "oldest": None}


def _overview(
    subscriber: Subscriber,
    pending: dict[str, Any],
    leased: dict[str, Any],
    *,
    open_failed: int,
) -> SubscriberOverview:
    oldest = [row["oldest"] for row in (pending, leased) if row["oldest"] is not None]
    return SubscriberOverview(
        subscriber=subscriber,
        waiting=pending["total"],
        working=leased["total"],
        retrying=pending["retrying"],
        due=pending["due"],
        held_in_order=pending["held"],
        oldest_waiting_at=pending["oldest"],
        oldest_owed_at=min(oldest, default=None),
        open_failed=open_failed,
        is_handler_missing=is_handler_missing(subscriber),
    )


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
    return FailedTask.objects.open().values("subscriber_id").annotate(total=Count("pk"))


def _by_subscriber(rows: QuerySet[Any, Any]) -> dict[int, dict[str, Any]]:
    return {row["subscriber_id"]: row for row in rows}


#: The log has no index by time; no more of its end than this is looked at.
LOOK_BACK = 50_000


def acknowledged_last_minute() -> dict[int, int]:
    """Primary key of a subscriber → acknowledgements of the last minute.

    A sum of `LOOK_BACK` means "that many or more".
    """
    newest = Attempt.objects.order_by("-pk").values("pk").first()
    if newest is None:
        return {}
    rows = Attempt.objects.filter(
        pk__gt=newest["pk"] - LOOK_BACK,
        result=AttemptResult.ACKNOWLEDGED,
        ended_at__gt=Clock() - timedelta(minutes=1),
    )
    counted = rows.values("delivery__subscriber_id").annotate(total=Count("pk"))
    return {row["delivery__subscriber_id"]: row["total"] for row in counted}
