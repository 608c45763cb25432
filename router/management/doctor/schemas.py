"""Schemas that cost too much, and versions that a subscriber pins in vain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from django.db import DatabaseError

from router.flow.publish.downgrades import versions_without_steps
from router.flow.publish.schema_cost import MAX_WEIGHT, weight
from router.flow.publish.schemas import in_force
from router.management.doctor.finding import Finding, Level
from router.management.doctor.page import subscriber_page
from router.models import EventSchema, Subscriber

HINT = (
    "Register a simpler version with an $id of its own, then retire this one: DELETE "
    "/api/schemas/{pk}/, or Schemas in the admin. Until then large events of the type "
    "are refused."
)


PIN_HINT = (
    "Its events become failed tasks. Add the missing downgrade to ROUTER['DOWNGRADES'] "
    "and restart, then retry them. Page: {page}."
)


def examine_schemas() -> Iterator[Finding]:
    """A warning for each live schema that could not be registered today, and for each
    version from which no downgrade leads to what a subscriber pins."""
    try:
        rows = list(EventSchema.objects.filter(retired_at=None))
        subscribers = list(Subscriber.objects.known().exclude(dataschemas={}))
    except DatabaseError:
        # The findings about the database and its migrations say why.
        return
    yield from _costly(rows)
    yield from chain.from_iterable(map(_pinned_in_vain, subscribers))


def _pinned_in_vain(subscriber: Subscriber) -> Iterator[Finding]:
    for event_type, pinned in subscriber.dataschemas.items():
        for version in versions_without_steps(pinned, in_force(event_type)):
            detail = f"pins {pinned}, and no downgrade leads to it from {version}"
            hint = PIN_HINT.format(page=subscriber_page(subscriber))
            title = f"subscriber {subscriber.name}"
            yield Finding(title, Level.WARNING, detail, hint)


def _costly(rows: Sequence[EventSchema]) -> Iterator[Finding]:
    for row in rows:
        if weight(row.schema) > MAX_WEIGHT:
            detail = f"checking events of {row.type} against it costs too much"
            hint = HINT.format(pk=row.pk)
            yield Finding(f"schema {row.dataschema}", Level.WARNING, detail, hint)
