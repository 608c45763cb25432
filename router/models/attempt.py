from __future__ import annotations

from typing import Any

from django.db import models

from router.contract.masking import masked
from router.contract.outcomes import Evidence, Exchange
from router.models.clock import Clock
from router.models.delivery import Delivery


class Trigger(models.TextChoices):
    SCHEDULED = "SCHEDULED"
    MANUAL = "MANUAL"


class AttemptResult(models.TextChoices):
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RETRY = "RETRY"
    DEAD = "DEAD"
    VANISHED = "VANISHED"
    #: It failed, and does not count against the event.
    UNCOUNTED = "UNCOUNTED"


class Attempt(models.Model):
    """One try of a delivery; append-only."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(
        Delivery,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="attempt_log",
    )
    number = models.PositiveIntegerField()
    trigger = models.CharField(max_length=9, choices=Trigger, default=Trigger.SCHEDULED)
    result = models.CharField(max_length=12, choices=AttemptResult)
    error = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    wait_seconds = models.FloatField(null=True)
    duration_ms = models.FloatField(null=True)
    #: What a webhook was sent with: its address and headers, no signature, no secret.
    request = models.JSONField(null=True)
    http_status = models.PositiveSmallIntegerField(null=True)
    #: The first KiB of a webhook's answer, as text.
    answer = models.TextField(blank=True, db_default="")
    ended_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"attempt {self.number} of delivery {self.delivery_id}"

    @property
    def shown_request(self) -> dict[str, Any] | None:
        """The request as people may see it: an older release kept the whole path."""
        if not self.request or "url" not in self.request:
            return self.request
        return {**self.request, "url": masked(self.request["url"])}

    @classmethod
    def of(
        cls,
        delivery: Delivery,
        result: AttemptResult,
        evidence: Evidence,
        **columns: Any,
    ) -> Attempt:
        """The attempt that this delivery is at, ended now with this result."""
        return cls(
            delivery=delivery,
            number=delivery.attempts,
            trigger=cls.trigger_of(delivery),
            result=result,
            ended_at=Clock(),
            error=evidence.error,
            traceback=evidence.traceback,
            **exchange_columns(evidence.exchange),
            **columns,
        )

    @staticmethod
    def trigger_of(delivery: Any) -> Trigger:
        """What made the attempt that this delivery is at."""
        return Trigger.MANUAL if delivery.is_manual else Trigger.SCHEDULED


def exchange_columns(exchange: Exchange | None) -> dict[str, Any]:
    """The columns of an attempt that keep what was sent and answered, if anything."""
    if exchange is None:
        return {"request": None, "http_status": None, "answer": ""}
    return {
        "request": dict(exchange.request),
        "http_status": exchange.status,
        "answer": exchange.answer,
    }
