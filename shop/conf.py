"""`settings.SHOP` as one frozen object; nobody else in the shop reads it."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True, kw_only=True)
class ShopSettings:
    """Dotted names, a currency (ISO 4217) and amounts in its minor units."""

    availability: str = ""
    gateway: str = "shop.payments.sandbox.SandboxGateway"
    currency: str = "EUR"
    shipping_minor: int = 590
    free_shipping_from_minor: int = 10_000
    #: In ten minutes, and in an hour; 0 is no limit.
    max_checkouts_per_network: int = 60
    max_orders_per_email: int = 30


def conf() -> ShopSettings:
    """The settings in force. Raises `TypeError` for a name that is not known."""
    given = getattr(settings, "SHOP", {})
    return ShopSettings(**{name.lower(): value for name, value in given.items()})
