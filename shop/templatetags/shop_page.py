from __future__ import annotations

from typing import Any

from django import template
from django.contrib.staticfiles.storage import staticfiles_storage

from shop.basket import Basket
from shop.models import Product
from shop.money import formatted

register = template.Library()
NO_PICTURE = "shop/no-picture.svg"


@register.filter
def money(amount_minor: int, currency: str) -> str:
    """`{{ line.total_minor|money:order.currency }}`"""
    return formatted(amount_minor, currency)


@register.simple_tag(takes_context=True)
def basket_count(context: dict[str, Any]) -> int:
    session = getattr(context.get("request"), "session", None)
    return Basket(session).count if session is not None else 0


@register.simple_tag
def picture(product: Product) -> str:
    """The address of a product's picture, or of the drawing for those without one."""
    try:
        return staticfiles_storage.url(product.picture or NO_PICTURE)
    except ValueError:
        # The manifest of collected files does not know it.
        return staticfiles_storage.url(NO_PICTURE)
