"""Purchases on a running stack, made without a browser.

`purchase` is called by tests; the rest runs in the stack's own Python, on its database.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from router.models import EventRecord, Subscriber
from router.observe.progress import StepState, progress_of
from shop.models import Order, Product
from subscribers.customer_profiles.models import CustomerProfile
from subscribers.fulfilment.models import Shipment
from subscribers.order_history.links import history_link
from subscribers.order_history.models import PurchaseRecord
from tests.integration.rows import a_delivery, a_subscriber
from tests.integration.shopping import check_out, put_in_basket
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

SUBSCRIBERS = 7


def purchase(site: Stack, **details: str) -> dict[str, str]:
    """Buy, wait until all have acknowledged it, and return the keys of its rows."""
    code = f"from tests.browser.purchases import buy; buy(**{details!r})"
    values: dict[str, str] = json.loads(site.manage("shell", "-v0", "-c", code))
    return values


def buy(*, product_name: str = "", **details: str) -> None:
    """Print the keys of what a purchase left behind, as JSON.

    With `product_name` it is of a product of that name, which is new to the store.
    """
    client = Client()
    put_in_basket(client, product(product_name))
    address = check_out(client, **details)["Location"]
    order = Order.objects.get(public_id=address.strip("/").rpartition("/")[2])
    wait_until(lambda: is_delivered(order))
    print(json.dumps(keys(order)))


def product(name: str) -> Product:
    oil = Product.objects.get(slug="quickwater-valve-oil")
    if not name:
        return oil
    return Product.objects.create(
        sku="NEW-1",
        slug="new-1",
        name=name,
        summary=name,
        description=name,
        price_minor=690,
        category=oil.category,
    )


def event_of(order: Order) -> EventRecord:
    return EventRecord.objects.get(subject=order.public_id, type="purchase.completed")


def is_delivered(order: Order) -> bool:
    steps = progress_of(source="/shop", subject=order.public_id).steps
    number = event_of(order).number
    done = [each for each in steps if each.state == StepState.DONE]
    return sum(each.event_number == number for each in done) == SUBSCRIBERS


def keys(order: Order) -> dict[str, str]:
    profile = CustomerProfile.objects.get(customer_id=order.customer_id)
    rows = {
        "order": order.pk,
        "public_id": order.public_id,
        "event": event_of(order).pk,
        "shipment": Shipment.objects.get(order_id=order.public_id).pk,
        "record": PurchaseRecord.objects.get(order_id=order.public_id).pk,
        "profile": profile.pk,
        "history": history_link("/shop", order.customer_id),
    }
    return {name: str(key) for name, key in rows.items()}


def show_every_state(public_id: str) -> None:
    """Owe the order's event more often, so that its page tells of every state."""
    event = event_of(Order.objects.get(public_id=public_id))
    later = timezone.now() + timedelta(hours=1)
    receipts = Subscriber.objects.get(name="receipts")
    stands: list[tuple[str, dict[str, Any]]] = [
        ("LEASED", {"leased_until": later}),
        ("DEAD", {}),
        ("CANCELLED", {}),
        ("PENDING", {"due_at": later}),
        ("PENDING", {"due_at": later, "attempts": 2, "failures": 2}),
    ]
    for run, (state, fields) in enumerate(stands, start=1):
        a_delivery(event, receipts, state, run=run, **fields)
    # No code of this name is there: held, and nothing for customers.
    a_delivery(event, a_subscriber("stands-still"))
