"""Fulfilment: a purchase becomes a parcel to pick, pack and ship."""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256

from django.utils.translation import gettext_lazy as _

from router.public import Event, subscriber
from subscribers.fulfilment.models import Shipment, ShipmentLine
from subscribers.payload import (
    Identifier,
    OrderNumber,
    Part,
    Quantity,
    Sku,
    read,
)


class Line(Part):
    sku: Sku
    name: str
    quantity: Quantity


class Address(Part):
    name: str
    line1: str
    line2: str = ""
    postal_code: str = ""
    city: str
    country: str


class Order(Part):
    id: Identifier
    number: OrderNumber = ""


class Customer(Part):
    id: Identifier


class Purchase(Part):
    order: Order
    customer: Customer
    shipping_address: Address
    lines: tuple[Line, ...]


@subscriber(
    "fulfilment",
    events=["purchase.completed"],
    title="Parcel",
    customer_title=_("Your parcel"),
    is_idempotent=True,
)
def open_shipment(event: Event) -> None:
    """Open one shipment, with its pick list, for the purchase."""
    purchase = read(Purchase, event)
    shipment, is_new = Shipment.objects.get_or_create(
        source=event.source,
        event_id=event.id,
        defaults={
            "public_id": _public_id(event),
            "order_id": purchase.order.id,
            "order_number": purchase.order.number,
            "customer_id": purchase.customer.id,
            "address": purchase.shipping_address.model_dump(),
        },
    )
    if is_new:
        ShipmentLine.objects.bulk_create(
            ShipmentLine(shipment=shipment, **line.model_dump())
            for line in purchase.lines
        )


def _public_id(event: Event) -> str:
    """The same event always opens the shipment of the same name."""
    digest = sha256(f"{event.source}\n{event.id}".encode()).digest()
    return f"shp_{b32encode(digest[:10]).decode().lower()}"
