from __future__ import annotations

from django import template

from subscribers.money import formatted

register = template.Library()


@register.filter
def money(amount_minor: int, currency: str) -> str:
    """`{{ total_minor|money:currency }}` → `€1,234.50`, by the reader's locale."""
    return formatted(amount_minor, currency)
