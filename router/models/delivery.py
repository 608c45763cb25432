from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.models.clock import Clock
from router.models.event import EventRecord
from router.models.subscriber import Subscriber


class DeliveryState(models.TextChoices):
    PENDING = "PENDING"
    LEASED = "LEASED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    DEAD = "DEAD"
    CANCELLED = "CANCELLED"


#: No worker has a right to the delivery, and no message for it is on its way.
_UNLEASED: dict[str, Any] = {
    "lease_token": None,  # nosec B105  # no token
    "leased_until": None,
    "dispatched_until": None,
    "dispatch_count": 0,
}
#: The columns of a delivery that has not failed.
NEVER_FAILED: dict[str, Any] = {
    "failures": 0,
    "vanished": 0,
    "failing_since": None,
    "last_failed_at": None,
    "is_witnessed": False,
}
#: The columns of a delivery that was done.
ACKNOWLEDGED: dict[str, Any] = {
    "state": DeliveryState.ACKNOWLEDGED,
    "acknowledged_at": Clock(),
    "vanished": 0,
    "is_manual": False,
    **_UNLEASED,
}


class Settlement(models.IntegerChoices):
    """How a puller ended its lease; the label completes "the delivery was …"."""

    ACK = 1, "acknowledged"
    NACK = 2, "nacked"
    RELEASE = 3, "released"


def settled_by(settlement: Settlement) -> dict[str, Any]:
    """The columns that remember which lease of a puller ended and how."""
    return {"settled_token": F("lease_token"), "settlement": settlement}


class Origin(models.TextChoices):
    LIVE = "live", _("Live")
    REPLAY = "replay", _("Replay")
    BACKFILL = "backfill", _("Backfill")
    IMPORT = "import", _("Import")


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def due(self) -> DeliveryQuerySet:
        """PENDING, its time has come."""
        return self.filter(state=DeliveryState.PENDING, due_at__lte=Clock())

    def unmarked(self) -> DeliveryQuerySet:
        """Not on its way to a worker, by its mark."""
        return self.filter(
            Q(dispatched_until__isnull=True) | Q(dispatched_until__lte=Clock())
        )

    def on_its_way(self) -> DeliveryQuerySet:
        """Marked: handed over, and claimed by no worker yet."""
        return self.filter(state=DeliveryState.PENDING, dispatched_until__gt=Clock())

    def leased(self) -> DeliveryQuerySet:
        return self.filter(state=DeliveryState.LEASED)

    def in_line(self) -> DeliveryQuerySet:
        """Those that take part in the order of a key and are not over: open, or dead
        where a dead one holds its key."""
        # As the partial index has it, for SQLite, which proves little.
        is_not_over = Q(state="PENDING") | Q(state="LEASED") | Q(state="DEAD")
        return self.filter(is_not_over, ordering_key__gt="")

    def held(self) -> DeliveryQuerySet:
        """Behind another of the same key."""
        return self.filter(state=DeliveryState.PENDING, due_at__isnull=True)

    def next_end(self) -> models.QuerySet[Delivery, Any]:
        """When the first of these leases ends: no more than the index of leases has, so
        that no plan takes another, which has all that a subscriber ever had."""
        return self.order_by("leased_until").values("leased_until")[:1]

    def in_flight(self) -> DeliveryQuerySet:
        """Leased, or on its way to a worker."""
        return self._or_leased(self.on_its_way())

    def open(self) -> DeliveryQuerySet:
        return self._or_leased(self.filter(state=DeliveryState.PENDING))

    def _or_leased(self, rows: DeliveryQuerySet) -> DeliveryQuerySet:
        """`rows`, and those of this query set that are leased."""
        # Not with IN: for that PostgreSQL uses neither of the two partial indexes. The
        # last condition is always true: where the two indexes hold all that is asked,
        # SQLite 3.46 ends in an "internal query planner error".
        return (self.leased() | rows).filter(attempts__gte=0)

    def expired(self) -> DeliveryQuerySet:
        """Leased past the lease's end."""
        return self.leased().filter(leased_until__lte=Clock())

    # Each transition ends the lease: a late write of its holder matches no row. They
    # return how many rows they changed; `columns` are further ones to write.

    def reschedule(self, due_at: Any, **columns: Any) -> int:
        """PENDING, with the next attempt at `due_at`."""
        state = DeliveryState.PENDING
        return self.update(state=state, due_at=due_at, **_UNLEASED, **columns)

    def revive(self) -> int:
        """PENDING and due now, because a person asked for it; of what was given up."""
        return self.reschedule(Clock(), is_manual=True, **NEVER_FAILED)

    def dead_letter(self, **columns: Any) -> int:
        """DEAD: given up."""
        return self.update(state=DeliveryState.DEAD, **_UNLEASED, **columns)

    def cancel(self, **columns: Any) -> int:
        """CANCELLED: owed no more."""
        return self.update(state=DeliveryState.CANCELLED, **_UNLEASED, **columns)


class Delivery(models.Model):
    """One event owed to one subscriber.

    `attempts` counts starts, `failures` those that failed and count against the event,
    `vanished` leases that ran out since the last answer. Foreign keys carry no
    constraint: routing alone makes deliveries, under the head's lock, and nothing
    deletes what they name.
    """

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(
        EventRecord,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="deliveries",
    )
    subscriber = models.ForeignKey(
        Subscriber,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="deliveries",
    )
    run = models.PositiveIntegerField(default=0)
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.LIVE)
    #: The event's `partitionkey`, where this delivery takes part in its order.
    ordering_key = models.CharField(max_length=255, blank=True)
    state = models.CharField(
        max_length=12, choices=DeliveryState, default=DeliveryState.PENDING
    )
    #: NULL: held, behind another of its key.
    due_at = models.DateTimeField(null=True)
    dispatched_until = models.DateTimeField(null=True)
    dispatch_count = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    #: When a puller took its lease, which it may extend so far and no further.
    pulled_at = models.DateTimeField(null=True)
    #: The last lease that a puller ended, and how: the same call sent again, because
    #: its answer was lost, gets the same answer.
    settled_token = models.UUIDField(null=True)
    settlement = models.SmallIntegerField(null=True, choices=Settlement)
    attempts = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    vanished = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    #: When the previous attempt failed; None: it never failed, since it was routed or
    #: retried by hand.
    last_failed_at = models.DateTimeField(null=True)
    #: It failed both before and after the receiver acknowledged another.
    is_witnessed = models.BooleanField(default=False, db_default=False)
    is_manual = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["event", "subscriber", "run"], name="delivery_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["subscriber", "due_at", "id"],
                name="delivery_pending",
                condition=Q(state="PENDING"),
            ),
            models.Index(
                fields=["subscriber", "dispatched_until"],
                name="delivery_marked",
                condition=Q(state="PENDING", dispatched_until__isnull=False),
            ),
            models.Index(
                fields=["subscriber", "leased_until"],
                name="delivery_leased",
                condition=Q(state="LEASED"),
            ),
            models.Index(
                fields=["subscriber", "last_failed_at"],
                name="delivery_failing",
                condition=Q(state="PENDING", last_failed_at__isnull=False),
            ),
            # Of a key first what moves or is dead, then what is held, by age.
            models.Index(
                fields=["subscriber", "ordering_key", "due_at", "id"],
                name="delivery_in_line",
                condition=Q(ordering_key__gt="")
                & (Q(state="PENDING") | Q(state="LEASED") | Q(state="DEAD")),
            ),
        ]

    def __str__(self) -> str:
        return gettext("delivery %(number)s") % {"number": self.pk}

    @property
    def is_held(self) -> bool:
        """Whether it waits for another of its key."""
        return self.state == DeliveryState.PENDING and self.due_at is None
