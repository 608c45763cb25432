"""Order numbers as people type them: `RS3X-M2QZ`, `rs3xm2qz`, `#RS3X-M2QZ`."""

from __future__ import annotations

from shop.models import Order

#: A number is short, so two orders of a large shop may share one; a customer may have
#: any number of them.
MAX_ORDERS = 20


def spellings(typed: str) -> set[str]:
    """The numbers that `typed` may mean."""
    letters = typed.strip().removeprefix("#").upper()
    return {letters, f"{letters[:4]}-{letters[4:]}"}


def public_ids(typed: str) -> list[str]:
    """The public ids of the orders of this number, or of the customer with this id,
    the last first: the subjects of their events."""
    orders = Order.objects.order_by("-pk").values_list("public_id", flat=True)
    of_number = list(orders.filter(number__in=spellings(typed))[:MAX_ORDERS])
    return of_number or list(orders.filter(customer_id=typed)[:MAX_ORDERS])


def number_of(public_id: str) -> str:
    """The number of the order; "" where there is none."""
    orders = Order.objects.filter(public_id=public_id).order_by("pk")
    return orders.values_list("number", flat=True).first() or ""
