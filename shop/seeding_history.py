"""A year of orders of a shop that is older than its router: made up, and always the
same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from django.db import transaction
from django.utils import timezone

from shop.models import Customer, Order, OrderLine, Payment, PaymentState, Product
from shop.models.order import ALPHABET

DEFAULT_COUNT = 10_000
SHIPPING_MINOR = 490
#: Orders that one statement inserts.
STEP = 1000
#: A customer buys so often in that year, on average.
ORDERS_OF_CUSTOMER = 8
FIRST_NAMES = ("Ada", "Bela", "Chiara", "Dario", "Edith", "Fritz", "Greta", "Hugo")
LAST_NAMES = ("Adler", "Berger", "Costa", "Dorn", "Ebner", "Fuchs", "Gruber", "Huber")
CITIES = (
    ("Graz", "8010", "AT"),
    ("Linz", "4020", "AT"),
    ("Passau", "94032", "DE"),
    ("Trento", "38122", "IT"),
)


@transaction.atomic
def seed_history(count: int = DEFAULT_COUNT) -> int:
    """Place `count` orders in the course of last year; returns how many are new.

    Nobody hears of them: they are from before the router. Made once: a shop that has
    the first of them gets none. The products must be there.
    """
    dice = Random(1848)  # noqa: S311 - made-up orders  # nosec B311
    products = list(Product.objects.order_by("sku"))
    ids = [_id(dice) for _ in range(count)]
    if not ids or Order.objects.filter(public_id=ids[0]).exists():
        return 0
    customers = list(_customers(dice, max(1, count // ORDERS_OF_CUSTOMER)))
    Customer.objects.bulk_create(
        (
            Customer(customer_id=each["customer_id"], email=each["email"])
            for each in customers
        ),
        batch_size=STEP,
    )
    orders = [
        Order(public_id=public_id, placed_at=at, **dice.choice(customers))
        for public_id, at in zip(ids, _moments(count), strict=True)
    ]
    for first in range(0, count, STEP):
        _insert(orders[first : first + STEP], products, dice)
    return count


def _id(dice: Random) -> str:
    return "".join(dice.choices(ALPHABET, k=20))


def _customers(dice: Random, count: int) -> Iterator[dict[str, str]]:
    for number in range(1, count + 1):
        city, postal_code, country = dice.choice(CITIES)
        yield {
            "customer_id": f"cus_{_id(dice)}",
            "email": f"customer-{number}@example.com",
            "name": f"{dice.choice(FIRST_NAMES)} {dice.choice(LAST_NAMES)}",
            "line1": f"Hauptplatz {dice.randint(1, 99)}",
            "city": city,
            "postal_code": postal_code,
            "country": country,
        }


def _moments(count: int) -> Iterator[datetime]:
    """From the first to the last day of last year, evenly."""
    this_year = datetime(timezone.now().year, 1, 1, tzinfo=UTC)
    first = this_year.replace(year=this_year.year - 1)
    between = (this_year - first) / count
    for place in range(count):
        yield first + timedelta(seconds=int(between.total_seconds() * place))


def _insert(orders: Sequence[Order], products: Sequence[Product], dice: Random) -> None:
    lines = [_lines(products, dice) for _ in orders]
    for order, of_order in zip(orders, lines, strict=True):
        order.subtotal_minor = sum(line["total_minor"] for line in of_order)
        order.shipping_minor = SHIPPING_MINOR
        order.total_minor = order.subtotal_minor + order.shipping_minor
        order.currency = products[0].currency
    Order.objects.bulk_create(orders)
    OrderLine.objects.bulk_create(
        OrderLine(order=order, **line)
        for order, of_order in zip(orders, lines, strict=True)
        for line in of_order
    )
    Payment.objects.bulk_create(map(_payment, orders))


def _lines(products: Sequence[Product], dice: Random) -> list[dict[str, Any]]:
    lines = []
    for product in dice.sample(products, k=min(len(products), dice.randint(1, 3))):
        quantity = dice.choice((1, 1, 1, 2, 3))
        lines.append(
            {
                "sku": product.sku,
                "name": product.name,
                "quantity": quantity,
                "unit_price_minor": product.price_minor,
                "total_minor": product.price_minor * quantity,
            }
        )
    return lines


def _payment(order: Order) -> Payment:
    return Payment(
        order=order,
        state=PaymentState.CAPTURED,
        reference=f"history-{order.public_id}",
        amount_minor=order.total_minor,
        currency=order.currency,
        card_last4="4242",
        changed_at=order.placed_at,
    )
