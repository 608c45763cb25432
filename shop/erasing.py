"""What the shop keeps of a customer: its ids, and how its personal data is erased.

Whatever erases customers finds both by dotted name.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F, Value
from django.db.models.functions import Concat

from shop.models import CheckoutIntent, Customer, Order

ERASED = "[erased]"
#: Nobody gets mail there (RFC 2606).
ERASED_DOMAIN = "@erased.invalid"
#: Of an order; its country stays, beside its totals.
PERSONAL = ("name", "line1", "line2", "postal_code", "city")


def customer_ids(email: str) -> list[str]:
    """The id of the customer with this address, if the shop has one."""
    rows = Customer.objects.filter(email__iexact=email)
    return list(rows.values_list("customer_id", flat=True))


def erase(customer: Any, *, is_dry_run: bool) -> dict[str, int]:
    """Overwrite the name, mail address and address of the customer of `customer.email`;
    returns how many rows of each kind, in a dry run how many there are."""
    orders = Order.objects.filter(email__iexact=customer.email)
    customers = Customer.objects.filter(email__iexact=customer.email)
    intents = CheckoutIntent.objects.filter(details__email__iexact=customer.email)
    counts = {
        "orders": orders.count(),
        "customers": customers.count(),
        "checkouts": intents.count(),
    }
    if not is_dry_run:
        customers.update(email=_address(F("customer_id")))
        orders.update(
            email=_address(F("customer_id")), **dict.fromkeys(PERSONAL, ERASED)
        )
        intents.update(details={})
    return counts


def _address(name: F) -> Concat:
    return Concat(Value("erased-"), name, Value(ERASED_DOMAIN))
