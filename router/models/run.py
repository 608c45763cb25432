from __future__ import annotations

from django.db import models
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from router.models.clock import Clock
from router.models.cursor import Cursor
from router.models.delivery import Delivery, Origin
from router.models.event import LogHead
from router.models.gap import distance
from router.models.subscriber import Subscriber


class RunKind(models.TextChoices):
    """The origin of a run's deliveries."""

    BACKFILL = Origin.BACKFILL.value, _("Backfill")
    REPLAY = Origin.REPLAY.value, _("Replay")


class RunState(models.TextChoices):
    ACTIVE = "active"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    COMPLETE = "complete"


class RunQuerySet(models.QuerySet["Run"]):
    def open(self) -> RunQuerySet:
        """Runs that are not over: active or paused."""
        # Not with IN: for that PostgreSQL does not use the partial index.
        return self.filter(Q(state="active") | Q(state="paused"))

    def active(self) -> RunQuerySet:
        return self.filter(state=RunState.ACTIVE)

    def with_position(self) -> RunQuerySet:
        """With the `position` of each run's cursor: everything up to it was served, or
        has a delivery."""
        cursors = Cursor.objects.filter(
            subscriber=OuterRef("subscriber"), run=OuterRef("number")
        )
        return self.annotate(position=Subquery(cursors.values("position")[:1]))

    def with_open_count(self) -> RunQuerySet:
        """With the `open_count` of each run: its deliveries that are not over."""
        rows = Delivery.objects.open().filter(
            subscriber=OuterRef("subscriber"), run=OuterRef("number")
        )
        counted = rows.order_by().values("run").annotate(count=Count("pk"))
        return self.annotate(open_count=Coalesce(Subquery(counted.values("count")), 0))

    def with_imported(self) -> RunQuerySet:
        """With `imported`, the last position of the imports: for `Run.passed`."""
        return self.annotate(imported=Subquery(LogHead.objects.values("imported")[:1]))


class Run(models.Model):
    """A walk of one subscriber over a part of the log, beside its live cursor.

    A backfill gives the events from before the subscriber, a replay gives events once
    more. Its place in the log is the Cursor of the same subscriber and number.
    """

    id = models.BigAutoField(primary_key=True)
    subscriber = models.ForeignKey(
        Subscriber,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="runs",
    )
    #: Unlike that of every other run, and of every resent event, of its subscriber.
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=RunKind)
    state = models.CharField(
        max_length=9, choices=RunState, default=RunState.ACTIVE.value
    )
    #: Its events are those after `start`, up to `end`.
    start = models.BigIntegerField()
    end = models.BigIntegerField()
    #: Patterns of event types, and a filter, as a subscriber has them.
    events = models.JSONField()
    filter = models.JSONField(null=True)
    #: It gives again what was given up, and nothing else.
    only_failed = models.BooleanField(default=False)
    #: Numbers of the only events that it may give; None: every event in its part.
    chosen = models.JSONField(null=True)
    #: Events that it gives each second; None: as many as the subscriber takes.
    rate_per_second = models.FloatField(null=True)
    #: When it may go on, while the rate is kept.
    next_at = models.DateTimeField(null=True)
    #: Events that it gave, and their digest: see `router.contract.digest`.
    count = models.BigIntegerField(default=0)
    digest = models.BigIntegerField(default=0)
    reason = models.CharField(max_length=1000, blank=True)
    requested_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Clock(), editable=False)
    #: When it was complete or cancelled.
    finished_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "number"], name="run_once")
        ]
        indexes = [
            models.Index(
                fields=["subscriber"],
                name="run_open",
                condition=Q(state="active") | Q(state="paused"),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.number}"

    def passed(self, position: int, *, imported: int) -> tuple[int, int]:
        """How many positions of its part of the log lie behind it at this position, and
        how many there are."""
        count = distance(self.start, self.end, imported=imported)
        return count - distance(position, self.end, imported=imported), count

    @property
    def is_open(self) -> bool:
        return self.state in (RunState.ACTIVE, RunState.PAUSED)
