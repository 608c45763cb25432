from __future__ import annotations

from django.db import models
from django.db.models import Q


class IntentState(models.TextChoices):
    """How far one press of the pay button has come."""

    AUTHORISING = "authorising", "asking the bank"
    UNKNOWN = "unknown", "the bank has not answered"
    AUTHORISED = "authorised", "authorised, not yet ordered"
    ORDERED = "ordered", "ordered"
    DECLINED = "declined", "declined"
    ABANDONED = "abandoned", "to be voided"
    VOIDED = "voided", "voided"


#: States in which a basket may still become, or has become, an order.
LIVE = (
    IntentState.AUTHORISING,
    IntentState.UNKNOWN,
    IntentState.AUTHORISED,
    IntentState.ORDERED,
)


class CheckoutIntent(models.Model):
    """What a customer agreed to pay for, committed before any bank is asked.

    `key` is the form's idempotency key. One basket has at most one live intent, so two
    tabs cannot buy it twice. Every change of `state` is a conditional UPDATE:
    the request that changes the row goes on, the others read what became of it. No card
    is kept, and what the customer typed is dropped as soon as it is needed no more.
    """

    key = models.UUIDField(unique=True, editable=False)
    owner = models.CharField(max_length=40, editable=False)
    basket_id = models.UUIDField(editable=False)
    state = models.CharField(
        max_length=12, choices=IntentState, default=IntentState.AUTHORISING
    )
    details = models.JSONField(default=dict)
    lines = models.JSONField()
    subtotal_minor = models.PositiveBigIntegerField()
    shipping_minor = models.PositiveBigIntegerField()
    total_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    card_last4 = models.CharField(max_length=4)
    payment_reference = models.CharField(max_length=100, blank=True)
    decline_reason = models.CharField(max_length=40, blank=True)
    #: Keyed digests for the limits of `shop.order_limits`; no address is kept.
    network_digest = models.CharField(
        max_length=32, editable=False, blank=True, db_default="", default=""
    )
    email_digest = models.CharField(
        max_length=32, editable=False, blank=True, db_default="", default=""
    )
    traceparent = models.CharField(max_length=55, blank=True)
    order = models.OneToOneField(
        "shop.Order", models.PROTECT, null=True, related_name="intent"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["basket_id"],
                condition=Q(state__in=LIVE),
                name="one_live_intent_per_basket",
            )
        ]
        indexes = [
            models.Index(
                fields=["changed_at"],
                condition=~Q(
                    state__in=(
                        IntentState.ORDERED,
                        IntentState.DECLINED,
                        IntentState.VOIDED,
                    )
                ),
                name="intent_unsettled",
            ),
            models.Index(
                fields=["network_digest", "created_at"], name="intent_of_network"
            ),
            models.Index(fields=["email_digest", "created_at"], name="intent_of_email"),
        ]

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"

    @property
    def gateway_key(self) -> str:
        """The idempotency key that the gateway knows this intent by."""
        return f"checkout-{self.key}"
