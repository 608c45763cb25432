"""One transaction: the order, its payment and the news of it, or nothing at all."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from shop import intents
from shop.models import CheckoutIntent, Customer, Order, OrderLine, Payment
from shop.payloads import purchase_event
from shop.signals import purchase_completed


class NobodyListens(Exception):
    """Nothing receives `purchase_completed`, so the purchase would go unheard."""


class ClaimLost(Exception):
    """Another process has settled this intent."""


@transaction.atomic(durable=True)
def record(intent: CheckoutIntent) -> Order:
    """The order of an authorised intent. Whatever is raised: nothing is sold."""
    details = dict(intent.details)
    if not intents.ordered(intent):
        raise ClaimLost
    order = _order(intent, details)
    CheckoutIntent.objects.filter(pk=intent.pk).update(order=order)
    if not purchase_completed.has_listeners(Order):
        raise NobodyListens
    # Never send_robust: a receiver that fails must take the order back.
    event = purchase_event(order, traceparent=intent.traceparent)
    purchase_completed.send(sender=Order, **event)
    return order


def _order(intent: CheckoutIntent, details: dict[str, str]) -> Order:
    customer, _ = Customer.objects.get_or_create(email=details["email"].lower())
    order = Order.objects.create(
        customer_id=customer.customer_id,
        placed_at=timezone.now(),
        subtotal_minor=intent.subtotal_minor,
        shipping_minor=intent.shipping_minor,
        total_minor=intent.total_minor,
        currency=intent.currency,
        **details,
    )
    OrderLine.objects.bulk_create(
        OrderLine(order=order, **line) for line in intent.lines
    )
    Payment.objects.create(
        order=order,
        reference=intent.payment_reference,
        amount_minor=intent.total_minor,
        currency=intent.currency,
        card_last4=intent.card_last4,
    )
    return order
