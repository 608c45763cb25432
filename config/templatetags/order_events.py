"""Joins an order, and what subscribers keep of it, to its events in the router."""

from __future__ import annotations

from django import template
from django.db.models import QuerySet

from router.models import EventRecord

register = template.Library()
SOURCE = "/shop"
MAX_EVENTS = 20


@register.simple_tag
def events_of_order(public_id: str) -> QuerySet[EventRecord]:
    """What the shop published of an order, the oldest first."""
    events = EventRecord.objects.filter(source=SOURCE, subject=public_id)
    return events.defer("data", "extensions").order_by("number")[:MAX_EVENTS]
