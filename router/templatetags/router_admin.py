"""Template tags of the admin's pages."""

from __future__ import annotations

from django import template

from router import telling

register = template.Library()

register.simple_tag(telling.badge)
register.simple_tag(telling.subscriber_badge)
register.simple_tag(telling.delivery_badge)
register.simple_tag(telling.ago)
register.filter(telling.milliseconds)
register.filter(telling.seconds)
register.filter(telling.first_line)
register.filter(telling.pretty)
