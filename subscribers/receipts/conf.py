"""`settings.RECEIPTS`; nobody else in the receipts reads it."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string


def given(name: str) -> str:
    """One setting, empty where it is left out."""
    return str(getattr(settings, "RECEIPTS", {}).get(name) or "")


def shop_name() -> str:
    return given("SHOP_NAME") or "Fanfare"


def history_link(customer_id: str) -> str:
    """The absolute link to this customer's purchases; empty where nobody makes one."""
    name = given("HISTORY_LINK")
    if not name:
        return ""
    return f"{settings.SITE_URL}{import_string(name)(customer_id)}"
