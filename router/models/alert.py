from __future__ import annotations

from datetime import datetime, timedelta
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


#: A failed task is open until a person acts. It explains only what begins soon after,
#: so that one that is left alone hides no later incident.
TASKS_EXPLAIN = timedelta(hours=1)


class AlertQuerySet(models.QuerySet["Alert"]):
    def opened(self) -> AlertQuerySet:
        """Those that were published."""
        return self.filter(opened_at__isnull=False)

    def pending(self) -> AlertQuerySet:
        """Those whose value was not too high for long enough."""
        return self.filter(opened_at__isnull=True)

    def locked_of(self, subscriber_id: int) -> list[Alert]:
        """The subscriber's rows: until the transaction ends, no other dispatcher opens
        or closes one."""
        rows = self.select_for_update().filter(subscriber=subscriber_id)
        return list(rows.order_by("pk"))


class Alert(models.Model):
    """A value of a subscriber that is too high, or was a short while ago.

    An alert that opens while another one of the same incident is open joins it, and is
    not published. The row is deleted when its value is calm for long enough.
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
    #: Since when the value is too high; of one that joined, since when the incident is.
    since = models.DateTimeField()
    #: When the incident was published; None: it has to be too high for longer.
    opened_at = models.DateTimeField(null=True)
    #: The alert that it joined, and that one's rule; None: it was published itself.
    joined_id = models.BigIntegerField(null=True)
    joined_rule = models.CharField(
        max_length=17, choices=AlertRule, default="", db_default=""
    )
    #: Since when the value is calm, of an alert that was published.
    calm_since = models.DateTimeField(null=True)
    #: As they were when the alert opened.
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
    def incident_id(self) -> int:
        """The id in both events of the incident."""
        return self.joined_id or self.pk

    @property
    def incident_rule(self) -> str:
        return self.joined_rule or self.rule

    @property
    def incident(self) -> dict[str, Any]:
        """The columns of an alert that joins this one."""
        return {
            "since": self.since,
            "opened_at": self.opened_at,
            "joined_id": self.incident_id,
            "joined_rule": self.incident_rule,
        }

    def explains(self, rule: AlertRule, now: datetime) -> bool:
        """Whether an alert by this rule is part of the same incident."""
        if self.opened_at is None:
            return False
        if self.rule != AlertRule.OPEN_FAILED_TASKS:
            return True
        is_fresh = now - self.opened_at < TASKS_EXPLAIN
        return is_fresh and rule != AlertRule.UNREACHABLE

    @property
    def watched(self) -> Watched:
        """The row as the rule of `router.contract.hysteresis` has it."""
        kept: dict[str, Any] = {
            name: getattr(self, name) for name in ("since", "opened_at", "calm_since")
        }
        return Watched(**kept)
