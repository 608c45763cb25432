"""Inventory: purchases take from the stock, deliveries from the makers add to it."""

from __future__ import annotations

from router.public import Event, subscriber
from subscribers.inventory.models import Reason
from subscribers.inventory.stock import Cause, Change, move
from subscribers.payload import Count, Part, Quantity, Sku, read

RECEIVED = "stock.received"


class Item(Part):
    sku: Sku
    name: str = ""
    quantity: Quantity


class Purchase(Part):
    lines: tuple[Item, ...]


class Received(Part):
    """None at all makes a product known, and out of stock."""

    sku: Sku
    name: str = ""
    quantity: Count


class Receipt(Part):
    items: tuple[Received, ...]


@subscriber("inventory", events=["purchase.completed", RECEIVED], title="Stock")
def keep_stock(event: Event) -> None:
    """Move the stock of every product in the event, once."""
    if event.type == RECEIVED:
        changes, reason = _came_in(read(Receipt, event)), Reason.RECEIVED
    else:
        changes, reason = _went_out(read(Purchase, event)), Reason.SOLD
    move(changes, cause=Cause(reason=reason, source=event.source, event_id=event.id))


def _came_in(receipt: Receipt) -> list[Change]:
    return [
        Change(sku=item.sku, name=item.name, quantity=item.quantity)
        for item in receipt.items
    ]


def _went_out(purchase: Purchase) -> list[Change]:
    return [
        Change(sku=line.sku, name=line.name, quantity=-line.quantity)
        for line in purchase.lines
    ]
