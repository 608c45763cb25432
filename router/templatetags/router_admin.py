"""Template tags of the admin's pages."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.urls import reverse

from router import display
from router.observe.last_failure import words_of

register = template.Library()

register.simple_tag(display.badge)
register.simple_tag(display.subscriber_badge)
register.simple_tag(display.delivery_badge)
register.simple_tag(display.ago)
register.simple_tag(display.due)
register.simple_tag(display.at)
register.filter(display.number)
register.filter(display.place)
register.filter(display.owed)
register.filter(display.waiting)
register.filter(display.capped)
register.filter(display.milliseconds)
register.filter(display.seconds)
register.filter(display.first_line)
register.filter(display.pretty)
register.filter(words_of)


@register.simple_tag(takes_context=True)
def kept_url(context: Any, name: str, *args: object) -> str:
    """Like `url`, with the filters of the list from which the person came."""
    address: str = add_preserved_filters(context, reverse(name, args=args))
    return address
