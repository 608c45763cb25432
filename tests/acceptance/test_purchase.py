"""A purchase by plain HTTP reaches all six, whatever happens meanwhile."""

from __future__ import annotations

import json
import threading
import urllib.error
from http.client import HTTPException

from tests.acceptance.customer import Customer
from tests.acceptance.purchases import SIX
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

ORDERS = """
import json
from shop.models import Order
print(json.dumps([str(order.public_id) for order in Order.objects.all()]))
"""
#: It looks again itself: to start a process takes longer than most deliveries.
DELIVERED_AND_SOLD = """
import time
from router.models import Delivery
from subscribers.inventory.models import StockMovement
purchases = Delivery.objects.filter(event__type="purchase.completed")
deadline = time.monotonic() + 120
while purchases.exclude(state="ACKNOWLEDGED").exists() and time.monotonic() < deadline:
    time.sleep(0.2)
sold = -sum(row.quantity for row in StockMovement.objects.filter(reason="sold"))
print(purchases.filter(state="ACKNOWLEDGED").count(), "delivered,", sold, "sold")
"""


def ask(stack: Stack, code: str) -> str:
    return stack.manage("shell", "-v0", "-c", code).splitlines()[-1]


def assert_delivered_and_sold(stack: Stack, orders: int) -> None:
    """Customers see three of the six."""
    expected = f"{len(SIX) * orders} delivered, {orders} sold"
    assert ask(stack, DELIVERED_AND_SOLD) == expected


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
    assert_delivered_and_sold(stack, 1)
    assert mails(stack, order) == 1


def test_a_stop_with_purchases_in_flight_loses_nothing(
    stack_of_each_kind: Stack,
) -> None:
    stack = stack_of_each_kind
    has_given_broker = bool(stack.environment["BROKER_URL"])
    assert (stack.find("broker") is None) == has_given_broker
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
    assert_delivered_and_sold(stack, len(orders))
