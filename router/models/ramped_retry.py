from __future__ import annotations

from django.db import models

from router.models.clock import Clock
from router.models.failed_task_group import FailedTaskGroup
from router.models.subscriber import Subscriber


class RampState(models.TextChoices):
    ACTIVE = "active"
    #: Nothing is left to retry, and nothing failed.
    COMPLETE = "complete"
    #: One failed again.
    STOPPED = "stopped"
    CANCELLED = "cancelled"


class RampedRetryQuerySet(models.QuerySet["RampedRetry"]):
    def active(self) -> RampedRetryQuerySet:
        return self.filter(state=RampState.ACTIVE)


class RampedRetry(models.Model):
    """Retries failed tasks of one subscriber in growing steps: 1, 10, 100, then as many
    as may be. It stops by itself when one fails again."""

    id = models.BigAutoField(primary_key=True)
    subscriber = models.ForeignKey(
        Subscriber,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    #: None: whatever their cause.
    group = models.ForeignKey(
        FailedTaskGroup,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="ramped_retries",
    )
    #: Only what was opened since; None: whenever.
    since = models.DateTimeField(null=True)
    #: The last failed task that it may retry: what dies again is not retried for ever.
    up_to = models.BigIntegerField()
    #: How many failed tasks its last step had; 0: none has begun.
    step = models.PositiveIntegerField(default=0)
    state = models.CharField(
        max_length=9, choices=RampState, default=RampState.ACTIVE.value
    )
    reason = models.CharField(max_length=1000, blank=True)
    requested_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(db_default=Clock(), editable=False)
    #: When it was no longer active.
    finished_at = models.DateTimeField(null=True)

    objects = RampedRetryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "ramped retries"
        constraints = [
            models.UniqueConstraint(
                fields=["group"],
                name="ramped_retry_once",
                condition=models.Q(state="active"),
            ),
            models.UniqueConstraint(
                fields=["subscriber"],
                name="ramped_retry_of_all_once",
                condition=models.Q(state="active", group__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"ramped retry {self.pk}"
