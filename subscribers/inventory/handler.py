"""Inventory: purchases take from the stock, deliveries from the makers add to it."""

from __future__ import annotations

from router.public import Event, subscriber
from subscribers.inventory.models import Reason
from subscribers.inventory.stock import Cause, Change, move
from subscribers.payload import Part, Quantity, Sku, read

RECEIVED = "stock.received"


class Item(Part):
    sku: Sku
    name: str = ""
    quantity: Quantity


class Purchase(Part):
    lines: tuple[Item, ...]


class Receipt(Part):
    items: tuple[Item, ...]


@subscriber("inventory", events=["purchase.completed", RECEIVED], title="Stock")
def keep_stock(event: Event) -> None:
    """Move the stock of every product in the event, once."""
    if event.type == RECEIVED:
        items, sign, reason = read(Receipt, event).items, 1, Reason.RECEIVED
    else:
        items, sign, reason = read(Purchase, event).lines, -1, Reason.SOLD
    move(
        [
            Change(sku=item.sku, name=item.name, quantity=sign * item.quantity)
            for item in items
        ],
        cause=Cause(reason=reason, source=event.source, event_id=event.id),
    )
