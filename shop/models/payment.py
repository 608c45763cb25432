from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PaymentState(models.TextChoices):
    AUTHORISED = "authorised", _("authorised")
    CAPTURED = "captured", _("captured")


class Payment(models.Model):
    """The money of one order; recorded with it, captured after it.

    An authorisation whose order was never recorded has no row here: its intent is
    voided instead.
    """

    order = models.OneToOneField("shop.Order", models.PROTECT, related_name="payment")
    state = models.CharField(
        max_length=12, choices=PaymentState, default=PaymentState.AUTHORISED
    )
    reference = models.CharField(max_length=100, unique=True)
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    method = models.CharField(max_length=12, default="card")
    card_last4 = models.CharField(max_length=4)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"],
                condition=models.Q(state=PaymentState.AUTHORISED),
                name="payment_uncaptured",
            )
        ]

    def __str__(self) -> str:
        return f"{self.reference} ({self.state})"
