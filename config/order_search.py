"""Joins the router's search to the shop: an order's number leads to its events, and is
their name."""

from __future__ import annotations

from django.apps import apps
from django.utils.module_loading import import_string
from django.utils.translation import gettext


def subjects(typed: str) -> list[str]:
    """The subjects of the events of the order that a person calls `typed`."""
    if not apps.is_installed("shop"):
        return []
    numbers: list[str] = import_string("shop.order_numbers.public_ids")(typed)
    return numbers


def title(subject: str) -> str:
    """`order RS3X-M2QZ`; "" where the subject is no order of the shop."""
    if not apps.is_installed("shop"):
        return ""
    number: str = import_string("shop.order_numbers.number_of")(subject)
    return gettext("order %(number)s") % {"number": number} if number else ""
