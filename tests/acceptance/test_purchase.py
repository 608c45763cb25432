"""A purchase by plain HTTP reaches all six, whatever happens meanwhile."""

from __future__ import annotations

import json
import threading
import urllib.error
from http.client import HTTPException

import pytest

from tests.acceptance.customer import Customer
from tests.acceptance.purchases import SIX
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

ORDERS = """
import json
from shop.models import Order
print(json.dumps([str(order.public_id) for order in Order.objects.all()]))
"""
#: It looks again itself: to start a process takes longer than most deliveries. Other
#: tests may have bought on the same stack.
DELIVERED_AND_SOLD = """
import time
from router.models import Delivery, EventRecord
from router.observe.outcome import outcomes_of
from subscribers.inventory.models import StockMovement
events = EventRecord.objects.filter(type="purchase.completed", subject__in={orders})
def delivered():
    found = outcomes_of(list(events), Delivery.objects.filter(event__in=events))
    of_each = [*found.deliveries, *found.by_cursor]
    of_six = [each.state for each in of_each if each.subscriber.name in {six}]
    return of_six.count("ACKNOWLEDGED")
deadline = time.monotonic() + 120
while delivered() < len(events) * len({six}) and time.monotonic() < deadline:
    time.sleep(0.2)
ids = list(events.values_list("event_id", flat=True))
movements = StockMovement.objects.filter(reason="sold", event_id__in=ids)
sold = -sum(movement.quantity for movement in movements)
print(delivered(), "delivered,", sold, "sold")
"""


def ask(stack: Stack, code: str) -> str:
    return stack.manage("shell", "-v0", "-c", code).splitlines()[-1]


def assert_delivered_and_sold(stack: Stack, orders: list[str]) -> None:
    """Customers see three of the six."""
    code = DELIVERED_AND_SOLD.format(orders=orders, six=SIX)
    expected = f"{len(SIX) * len(orders)} delivered, {len(orders)} sold"
    assert ask(stack, code) == expected


def mails(stack: Stack, order: str) -> int:
    number = f"{order[:4]}-{order[4:8]}".upper()
    files = (stack.var_dir / "mail").iterdir()
    return sum(number in file.read_text() for file in files)


def test_a_purchase_without_javascript_reaches_all_six(
    stack_of_each_kind: Stack,
) -> None:
    stack = stack_of_each_kind
    customer = Customer(stack.url)

    order = customer.buy()

    wait_until(lambda: customer.sees_all_done(order))
    assert_delivered_and_sold(stack, [order])
    assert mails(stack, order) == 1


@pytest.mark.xdist_group("stack")
@pytest.mark.long
def test_a_stop_with_purchases_in_flight_loses_nothing(stack: Stack) -> None:
    assert stack.find("broker") is not None
    stop_with_purchases_in_flight(stack)


def stop_with_purchases_in_flight(stack: Stack) -> None:
    confirmed: list[str] = []

    def buy_until_closed() -> None:
        customer = Customer(stack.url)
        try:
            while True:
                confirmed.append(customer.buy())
        except (urllib.error.URLError, HTTPException, OSError):
            return

    customers = [threading.Thread(target=buy_until_closed) for _ in range(3)]
    for customer in customers:
        customer.start()
    wait_until(lambda: len(confirmed) > 5)
    assert stack.stop() == 0, stack.log_text()
    for customer in customers:
        customer.join()

    orders = json.loads(ask(stack, ORDERS))
    assert set(confirmed) <= set(orders)
    stack.start()
    stack.wait_ready()
    visitor = Customer(stack.url)
    for order in orders:
        wait_until(lambda order=order: visitor.sees_all_done(order))
    assert_delivered_and_sold(stack, orders)
