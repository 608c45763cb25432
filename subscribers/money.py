"""Money is an integer of minor units with its currency; people read it by locale."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import get_language, to_locale
from moneyed import CurrencyDoesNotExist, Money, get_currency
from moneyed.l10n import format_money


def major(amount_minor: int, currency: str) -> Decimal:
    """`123450, "EUR"` → `Decimal("1234.50")`; an unknown currency has 100 parts."""
    try:
        parts = get_currency(currency).sub_unit
    except CurrencyDoesNotExist:
        parts = 100
    return Decimal(amount_minor).scaleb(1 - len(str(parts)))


def formatted(amount_minor: int, currency: str) -> str:
    """`123450, "EUR"` → `€1,234.50`, as the active language writes it."""
    amount = major(amount_minor, currency)
    try:
        money = Money(amount, currency)
    except CurrencyDoesNotExist:
        return f"{amount} {currency}"
    return format_money(money, locale=to_locale(get_language() or "en"))
