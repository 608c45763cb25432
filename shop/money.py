"""Money is an integer of minor units with its currency; people read it by locale."""

from __future__ import annotations

from decimal import Decimal

from django.utils.translation import get_language, to_locale
from moneyed import Money, get_currency
from moneyed.l10n import format_money


def money(amount_minor: int, currency: str) -> Money:
    known = get_currency(currency)
    return Money(Decimal(amount_minor) / Decimal(known.sub_unit), known)


def formatted(amount_minor: int, currency: str) -> str:
    """`123456, "EUR"` → `€1,234.56`, as the active language writes it."""
    locale = to_locale(get_language() or "en")
    return format_money(money(amount_minor, currency), locale=locale)
