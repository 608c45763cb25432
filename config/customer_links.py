"""Joins receipts to the shop: which address may get the link to a customer's orders."""

from __future__ import annotations

from django.apps import apps
from django.conf import settings

from subscribers.order_history.links import history_link as link_to

SIGNAL = "shop.signals.purchase_completed"


def history_link(*, source: str, customer_id: str, email: str) -> str:
    """The path to this customer's orders; empty unless the shop recorded this address.

    A publisher can name any customer and any address in an event. So the event decides
    nothing here: the shop's own table does, and only for events of the shop's source.
    """
    is_of_shop = source == settings.ROUTER["SOURCES"].get(SIGNAL)
    if not is_of_shop or not apps.is_installed("shop"):
        return ""
    customers = apps.get_model("shop", "Customer").objects
    recorded = customers.filter(customer_id=customer_id, email=email.lower())
    return link_to(source, customer_id) if recorded.exists() else ""
