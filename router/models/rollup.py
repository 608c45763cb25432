from __future__ import annotations

from django.db import models


class Span(models.IntegerChoices):
    """How long a rollup counts, in seconds; 0 is since the first event."""

    EVER = 0
    MINUTE = 60
    HOUR = 3600


class Measure(models.TextChoices):
    """What a rollup counts."""

    #: Events that were routed; the label is their type.
    EVENTS = "events"
    #: The label is the result.
    ATTEMPTS = "attempts"
    #: Seconds from the event's recording to its acknowledgement, and of each event of a
    #: chunk those of its oldest; the label is the upper bound of the bucket.
    PUBLISH_TO_ACK = "publish_to_ack"
    #: Seconds that an attempt took, and each event of a chunk the mean; the label
    #: likewise.
    RUN_TIME = "run_time"
    #: A sample, not a count: events owed at the last look; the label is `moving`,
    #: `waiting` or `held`, the seconds are the age of the subscriber's oldest event.
    BACKLOG = "backlog"


class Rollup(models.Model):
    """How many there were of one kind within one minute, within one hour, and ever.

    Screens and metrics read these in place of the log. The dispatcher counts each row
    of the log once.
    """

    id = models.BigAutoField(primary_key=True)
    span = models.PositiveSmallIntegerField(choices=Span)
    #: Of `EVER` it is the beginning of Unix time.
    began_at = models.DateTimeField()
    measure = models.CharField(max_length=16, choices=Measure)
    #: The subscriber's primary key; 0 where the measure has no subscriber.
    subscriber_id = models.BigIntegerField(default=0)
    label = models.CharField(max_length=255)
    count = models.BigIntegerField()
    #: Of the seconds that were measured.
    seconds = models.FloatField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["span", "began_at", "measure", "subscriber_id", "label"],
                name="rollup_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.measure} {self.label} {self.count}"


class RollupMark(models.Model):
    """What the rollups have counted: the log up to a position, attempts and
    acknowledgements up to an id. A single row; code that counts holds its lock."""

    position = models.BigIntegerField(default=0)
    attempt_id = models.BigIntegerField(default=0)
    acknowledgement_id = models.BigIntegerField(default=0, db_default=0)

    def __str__(self) -> str:
        return (
            f"position {self.position}, attempt {self.attempt_id}, "
            f"acknowledgement {self.acknowledgement_id}"
        )
