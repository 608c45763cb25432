"""`settings.RECEIPTS`; nobody else in the receipts reads it."""

from __future__ import annotations

from django.conf import settings
from django.utils.module_loading import import_string


def given(name: str) -> str:
    """One setting, empty where it is left out."""
    return str(getattr(settings, "RECEIPTS", {}).get(name) or "")


def shop_name() -> str:
    return given("SHOP_NAME") or "Fanfare"


def history_link(*, source: str, customer_id: str, email: str) -> str:
    """The absolute link to this customer's purchases; empty when there is none."""
    name = given("HISTORY_LINK")
    if not name:
        return ""
    path = import_string(name)(source=source, customer_id=customer_id, email=email)
    return f"{settings.SITE_URL}{path}" if path else ""
