"""Capture payments of orders, and void payments without one."""

from __future__ import annotations

import logging

from django.utils import timezone

from shop import intents
from shop.models import CheckoutIntent, IntentState, Order, Payment, PaymentState
from shop.payments.gateway import GatewayUnreachable, gateway

logger = logging.getLogger(__name__)


def uncaptured() -> list[Payment]:
    due = Payment.objects.filter(state=PaymentState.AUTHORISED)
    return list(due.order_by("pk"))


def capture_order(order: Order) -> bool:
    return capture(order.payment)


def capture(payment: Payment) -> bool:
    """Take the money of an order; False when the gateway is out of reach."""
    try:
        gateway().capture(payment.reference)
    except GatewayUnreachable:
        logger.warning("Payment %s is still to be captured.", payment.pk)
        return False
    Payment.objects.filter(pk=payment.pk, state=PaymentState.AUTHORISED).update(
        state=PaymentState.CAPTURED, changed_at=timezone.now()
    )
    return True


def void_abandoned(intent: CheckoutIntent) -> bool:
    """Void the payment of an intent; False when the gateway is out of reach."""
    try:
        gateway().void(intent.payment_reference)
    except GatewayUnreachable:
        logger.warning("Intent %s is still to be voided.", intent.pk)
        return False
    intents.voided(intent)
    return True


def give_up(intent: CheckoutIntent) -> bool | None:
    """Void an authorised intent that was never ordered; None when it was after all."""
    intents.abandon(intent)
    intent.refresh_from_db()
    if intent.state != IntentState.ABANDONED:
        return None
    return void_abandoned(intent)
