"""Order history: what each customer bought, and what the company sold."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from router.public import Event, subscriber
from subscribers.order_history.models import (
    DispatchRecord,
    PurchaseLine,
    PurchaseRecord,
)
from subscribers.order_history.payloads import Dispatch, Purchase
from subscribers.payload import read

DISPATCHED = "shipment.dispatched"


@subscriber(
    "order_history",
    events=["purchase.completed", DISPATCHED],
    title="Order history",
    customer_title=_("Your purchase history"),
    is_idempotent=True,
)
def keep_history(event: Event) -> None:
    """Record the purchase, or that its parcel left, once."""
    if event.type == DISPATCHED:
        _record_dispatch(event, read(Dispatch, event))
    else:
        _record_purchase(event, read(Purchase, event))


def _record_purchase(event: Event, purchase: Purchase) -> None:
    record, is_new = PurchaseRecord.objects.get_or_create(
        source=event.source,
        event_id=event.id,
        defaults={
            "order_id": purchase.order.id,
            "order_number": purchase.order.number,
            "customer_id": purchase.customer.id,
            "placed_at": purchase.order.placed_at,
            "currency": purchase.order.currency,
            **purchase.totals.model_dump(),
        },
    )
    if is_new:
        PurchaseLine.objects.bulk_create(
            PurchaseLine(purchase=record, **line.model_dump())
            for line in purchase.lines
        )


def _record_dispatch(event: Event, dispatch: Dispatch) -> None:
    DispatchRecord.objects.get_or_create(
        source=event.source,
        event_id=event.id,
        defaults={
            "order_id": dispatch.order.id,
            "order_number": dispatch.order.number,
            **dispatch.shipment.model_dump(),
        },
    )
