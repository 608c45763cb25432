"""Template tags of the admin's pages."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.urls import reverse

from router import telling

register = template.Library()

register.simple_tag(telling.badge)
register.simple_tag(telling.subscriber_badge)
register.simple_tag(telling.delivery_badge)
register.simple_tag(telling.ago)
register.simple_tag(telling.due)
register.simple_tag(telling.at)
register.filter(telling.number)
register.filter(telling.capped)
register.filter(telling.milliseconds)
register.filter(telling.seconds)
register.filter(telling.first_line)
register.filter(telling.pretty)


@register.simple_tag(takes_context=True)
def kept_url(context: Any, name: str, *args: object) -> str:
    """Like `url`, with the filters of the list from which the person came."""
    address: str = add_preserved_filters(context, reverse(name, args=args))
    return address
