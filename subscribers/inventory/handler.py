"""Inventory: purchases take from the stock, deliveries from the makers add to it."""

from __future__ import annotations

from router.public import Event, subscriber
from subscribers.inventory.models import Reason
from subscribers.inventory.stock import Cause, Change, move
from subscribers.payload import (
    Count,
    OrderNumber,
    Part,
    Quantity,
    Sku,
    read,
)

RECEIVED = "stock.received"


class Item(Part):
    sku: Sku
    name: str = ""
    quantity: Quantity


class Order(Part):
    number: OrderNumber = ""


class Purchase(Part):
    order: Order = Order()
    lines: tuple[Item, ...]


class Received(Part):
    """None at all makes a product known, and out of stock."""

    sku: Sku
    name: str = ""
    quantity: Count


class Receipt(Part):
    items: tuple[Received, ...]


@subscriber(
    "inventory",
    events=["purchase.completed", RECEIVED],
    title="Stock",
    is_idempotent=True,
)
def keep_stock(event: Event) -> None:
    """Move the stock of every product in the event, once."""
    if event.type == RECEIVED:
        _come_in(event, read(Receipt, event))
    else:
        _go_out(event, read(Purchase, event))


def _come_in(event: Event, receipt: Receipt) -> None:
    changes = [
        Change(sku=item.sku, name=item.name, quantity=item.quantity)
        for item in receipt.items
    ]
    cause = Cause(reason=Reason.RECEIVED, source=event.source, event_id=event.id)
    move(changes, cause=cause)


def _go_out(event: Event, purchase: Purchase) -> None:
    changes = [
        Change(sku=line.sku, name=line.name, quantity=-line.quantity)
        for line in purchase.lines
    ]
    cause = Cause(
        reason=Reason.SOLD,
        source=event.source,
        event_id=event.id,
        order_number=purchase.order.number,
    )
    move(changes, cause=cause)
