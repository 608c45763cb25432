from __future__ import annotations

from django.db import models
from django.db.models import Q

from router.models.clock import Clock
from router.models.subscriber import Subscriber

#: The run of a subscriber's live cursor.
LIVE = 0
#: Before every position that an event ever has.
BEFORE_EVERYTHING = -(2**62)


class TurnQuerySet(models.QuerySet["Turn"]):
    def free(self) -> TurnQuerySet:
        """Turns whose lease no worker has."""
        return self.filter(token__isnull=True)

    def unmarked(self) -> TurnQuerySet:
        """Turns without a message on its way, and without a pause."""
        is_over = Q(marked_until__lte=Clock())
        return self.filter(Q(marked_until__isnull=True) | is_over)

    def expired(self) -> TurnQuerySet:
        """Turns whose lease ran out."""
        return self.filter(leased_until__lte=Clock())


class Turn(models.Model):
    """The one lease of a subscriber that is served in the stream.

    Its handler was promised one chunk at a time: its cursors and its deliveries share
    this. A row that many write, so that no column has an index but the key.
    """

    subscriber = models.OneToOneField(
        Subscriber,
        primary_key=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="turn",
    )
    token = models.UUIDField(null=True)
    leased_until = models.DateTimeField(null=True)
    #: Events of the log under the lease; none where deliveries are.
    leased_count = models.PositiveIntegerField(default=0)
    #: A message is on its way, or a pause is kept, until then.
    marked_until = models.DateTimeField(null=True)
    mark_count = models.PositiveSmallIntegerField(default=0)
    #: Whose cursor is under the lease: `LIVE`, or a run's number.
    run = models.PositiveIntegerField(default=LIVE, db_default=LIVE)
    #: Its subscriber has so many open deliveries that its cursor stands still.
    is_full = models.BooleanField(default=False, db_default=False)

    objects = TurnQuerySet.as_manager()

    def __str__(self) -> str:
        return f"turn of subscriber {self.subscriber_id}"


class CursorQuerySet(models.QuerySet["Cursor"]):
    def in_use(self) -> CursorQuerySet:
        """Cursors by which a subscriber reads the log: in the stream, behind the head,
        or of a run that is not over. All others stay where they were."""
        return self.filter(self.model.IS_IN_USE)


class Cursor(models.Model):
    """A subscriber's place in the log: in (start, position] everything is settled or
    set aside, as a Delivery of this run."""

    id = models.BigAutoField(primary_key=True)
    subscriber = models.ForeignKey(
        Subscriber,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="cursors",
    )
    run = models.PositiveIntegerField(default=LIVE)
    #: Of a live cursor: its subscriber gets no deliveries from routing, the next events
    #: above it get them when there is room. Of a run's cursor: the run is not over.
    is_behind = models.BooleanField(default=False, db_default=False)
    start = models.BigIntegerField()
    position = models.BigIntegerField()
    #: The last event under the lease.
    leased_to = models.BigIntegerField(null=True)
    #: A lease ran out with the events up to here: each goes alone.
    alone_to = models.BigIntegerField(default=BEFORE_EVERYTHING)
    #: The last import when it went on from imports to live events; None before, and
    #: where it began among live events. It does not read what is imported later.
    imports_to = models.BigIntegerField(null=True)
    #: Chunks in a row, from this position, that a passing error of the database ended.
    troubles = models.PositiveSmallIntegerField(default=0)

    objects = CursorQuerySet.as_manager()
    #: See `CursorQuerySet.in_use`.
    IS_IN_USE = Q(subscriber__deleted_at__isnull=True) & (
        Q(subscriber__is_streamed=True, run=LIVE) | Q(is_behind=True)
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "run"], name="cursor_once")
        ]

    def __str__(self) -> str:
        return f"run {self.run} at {self.position}"


class Period(models.Model):
    """From which position which types and filter of a subscriber hold.

    An event is judged by the period of its position, however late it is read: what was
    owed stays owed. Written under the head's lock. The first begins before everything.
    """

    id = models.BigAutoField(primary_key=True)
    subscriber = models.ForeignKey(
        Subscriber,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="periods",
    )
    #: Its first event is the one after this position.
    after = models.BigIntegerField(default=BEFORE_EVERYTHING)
    events = models.JSONField()
    filter = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "after"], name="period_once")
        ]

    def __str__(self) -> str:
        return f"after {self.after}: {', '.join(self.events)}"


class Acknowledgement(models.Model):
    """What one settled chunk acknowledged: every event from `first` to `last` that its
    subscriber wanted, except those that have a Delivery of this run."""

    id = models.BigAutoField(primary_key=True)
    cursor = models.ForeignKey(
        Cursor,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="acknowledgements",
    )
    #: The first event that was acknowledged.
    first = models.BigIntegerField()
    last = models.BigIntegerField()
    #: Events that were acknowledged.
    count = models.PositiveIntegerField()
    acknowledged_at = models.DateTimeField()
    #: Of one event, the mean.
    run_ms = models.FloatField(null=True)
    worker = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cursor", "last"], name="acknowledgement_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"
