from __future__ import annotations

from typing import Any

from django.db import models

from router.contract.hysteresis import Watched
from router.models.subscriber import Subscriber


class AlertRule(models.TextChoices):
    """What an alert is about."""

    #: The breaker is open, or the router disabled the subscriber.
    UNREACHABLE = "unreachable", "Unreachable"
    BACKLOG_AGE = "backlog_age", "Old backlog"
    FAILURE_RATE = "failure_rate", "Failing attempts"
    OPEN_FAILED_TASKS = "open_failed_tasks", "Open failed tasks"


class AlertQuerySet(models.QuerySet["Alert"]):
    def opened(self) -> AlertQuerySet:
        """Those that were published."""
        return self.filter(opened_at__isnull=False)

    def pending(self) -> AlertQuerySet:
        """Those whose value was not too high for long enough."""
        return self.filter(opened_at__isnull=True)


class Alert(models.Model):
    """A value of a subscriber that is too high, or was a short while ago.

    The row is deleted when the alert closes: the log has both of its events.
    """

    id = models.BigAutoField(primary_key=True)
    subscriber = models.ForeignKey(
        Subscriber,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="alerts",
    )
    rule = models.CharField(max_length=17, choices=AlertRule)
    #: Since when the value is too high.
    since = models.DateTimeField()
    #: When the alert was published; None: it has to be too high for longer.
    opened_at = models.DateTimeField(null=True)
    #: Since when the value is calm, of an alert that was published.
    calm_since = models.DateTimeField(null=True)
    #: As they were when the alert was published.
    value = models.FloatField(default=0)
    limit = models.FloatField(default=0)

    objects = AlertQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["subscriber", "rule"], name="alert_once")
        ]

    def __str__(self) -> str:
        return f"{self.get_rule_display()} of subscriber {self.subscriber_id}"

    @property
    def watched(self) -> Watched:
        """The row as the rule of `router.contract.hysteresis` has it."""
        kept: dict[str, Any] = {
            name: getattr(self, name) for name in ("since", "opened_at", "calm_since")
        }
        return Watched(**kept)
