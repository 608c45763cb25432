from __future__ import annotations

from django.db import models


class SandboxState(models.TextChoices):
    AUTHORISED = "authorised", "authorised"
    CAPTURED = "captured", "captured"
    VOIDED = "voided", "voided"
    DECLINED = "declined", "declined"


class SandboxCharge(models.Model):
    """The sandbox bank's own books. No other code reads or writes them."""

    key = models.CharField(max_length=100, unique=True)
    reference = models.CharField(max_length=100, unique=True)
    state = models.CharField(max_length=12, choices=SandboxState)
    reason = models.CharField(max_length=40, blank=True)
    amount_minor = models.PositiveBigIntegerField(default=0)
    currency = models.CharField(max_length=3, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.reference} ({self.state})"
