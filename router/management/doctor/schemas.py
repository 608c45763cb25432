"""Registered schemas that an older release admitted and that cost too much."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DatabaseError

from router.flow.publish.schema_cost import MAX_WEIGHT, weight
from router.management.doctor.finding import Finding, Level
from router.models import EventSchema

HINT = (
    "Register a simpler version with an $id of its own, then retire this one: DELETE "
    "/api/schemas/{pk}/, or Schemas in the admin. Until then large events of the type "
    "are refused."
)


def examine_schemas() -> Iterator[Finding]:
    """A warning for each live schema that could not be registered today."""
    try:
        rows = list(EventSchema.objects.filter(retired_at=None))
    except DatabaseError:
        # The findings about the database and its migrations say why.
        return
    for row in rows:
        if weight(row.schema) > MAX_WEIGHT:
            detail = f"checking events of {row.type} against it costs too much"
            hint = HINT.format(pk=row.pk)
            yield Finding(f"schema {row.dataschema}", Level.WARNING, detail, hint)
