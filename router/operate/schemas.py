"""An event type is described by a JSON Schema, registered while the router runs."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from router.contract.attributes import MAX_LENGTHS, is_uri, type_problem
from router.contract.errors import (
    MAX_PROBLEMS,
    InvalidEvent,
    InvalidSchema,
    SchemaConflict,
    named,
)
from router.contract.json_text import canonical, text_problems
from router.flow import audit
from router.flow.publish import registered_schemas
from router.flow.publish.json_schema import check_shape, compile_schema
from router.flow.publish.own_events import is_own_type
from router.flow.publish.schema_cost import (
    MAX_WEIGHT,
    cost_problems,
    size_problem,
    weight,
)
from router.flow.publish.schemas import named_by_files
from router.models import EventSchema


@transaction.atomic
def register_schema(
    event_type: str, schema: Any, *, by: str, reason: str = ""
) -> tuple[EventSchema, bool]:
    """The schema's row, and whether it holds only now; again changes nothing.

    It holds for what this process publishes from the commit on, for others at most
    `ROUTER["SCHEMA_REFRESH_SECONDS"]` later. Raises `InvalidSchema` with pointers, or
    `SchemaConflict` for an `$id` that names another schema: versions never change,
    since recorded events name them.
    """
    _check(event_type, schema)
    identity = schema["$id"]
    if identity in named_by_files():
        raise SchemaConflict(
            gettext("%(schema)s is a file of ROUTER['SCHEMAS'].") % {"schema": identity}
        )
    row, is_new = EventSchema.objects.get_or_create(
        dataschema=identity, defaults={"type": event_type, "schema": schema}
    )
    is_same = row.type == event_type and canonical(row.schema) == canonical(schema)
    if not is_same:
        raise SchemaConflict(
            # Not of which type: that may be another partner's.
            gettext(
                "%(schema)s names another schema. Give the new version an $id "
                "of its own."
            )
            % {"schema": identity}
        )
    is_changed = is_new or _set_retired(row, None)
    if is_changed:
        audit.note(
            "schema.registered",
            row,
            by=by,
            reason=reason,
            detail=event_type,
        )
        transaction.on_commit(registered_schemas.forget)
    return row, is_changed


@transaction.atomic
def retire_schema(row: EventSchema, *, by: str, reason: str = "") -> bool:
    """Let the schema refuse nothing any more; False when it was retired before.

    It holds for other processes at most `ROUTER["SCHEMA_REFRESH_SECONDS"]` later.
    Events that name it keep its name. To register it again brings it back.
    """
    is_changed = _set_retired(row, timezone.now())
    if is_changed:
        audit.note(
            "schema.retired",
            row,
            by=by,
            reason=reason,
            detail=row.type,
        )
        transaction.on_commit(registered_schemas.forget)
    return is_changed


def _set_retired(row: EventSchema, moment: datetime | None) -> bool:
    """Whether this changed anything."""
    rows = EventSchema.objects.filter(pk=row.pk, retired_at__isnull=moment is not None)
    is_changed = bool(rows.update(retired_at=moment))
    row.refresh_from_db(fields=["retired_at"])
    return is_changed


def _check(event_type: str, schema: Any) -> None:
    problems = [
        *_type_problems(event_type),
        *_identity_problems(schema),
        *_json_problems(schema),
    ]
    if not problems:
        problems = [
            (f"/schema{pointer}", detail)
            for pointer, detail in _schema_problems(schema)
        ]
    if problems:
        raise InvalidSchema(
            f"This can't be registered: {named(problems)}.", problems=problems
        )


def _schema_problems(schema: Any) -> list[tuple[str, str]]:
    if problem := size_problem(schema):
        return [("", problem)]
    try:
        check_shape(schema)
        # Compiling can take as long as checking data: not what costs too much.
        if weight(schema) <= MAX_WEIGHT:
            compile_schema(schema)
    except InvalidSchema as error:
        return list(error.problems)
    return list(islice(cost_problems(schema), MAX_PROBLEMS))


def _type_problems(event_type: str) -> list[tuple[str, str]]:
    if problem := type_problem(event_type):
        return [("/type", problem)]
    if is_own_type(event_type):
        return [("/type", "is the router's own; it describes its events itself")]
    return []


def _identity_problems(schema: Any) -> list[tuple[str, str]]:
    if not isinstance(schema, dict):
        return [("/schema", "must be an object")]
    identity = schema.get("$id")
    if not isinstance(identity, str) or not identity:
        return [("/schema/$id", "is required: a URI that names this version")]
    longest = MAX_LENGTHS["dataschema"]
    if len(identity) > longest:
        return [("/schema/$id", f"is longer than {longest} characters")]
    if not is_uri(identity):
        return [("/schema/$id", "must be an absolute URI: events name it")]
    return []


def _json_problems(schema: Any) -> list[tuple[str, str]]:
    try:
        return text_problems(schema, "/schema")
    except InvalidEvent:
        return [("/schema", "has a number that JSON can't say")]
