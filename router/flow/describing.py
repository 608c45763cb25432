"""An event type is described by a JSON Schema, registered while the router runs."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from router.contract.attributes import MAX_LENGTHS, is_uri, type_problem
from router.contract.errors import InvalidEvent, InvalidSchema, SchemaConflict
from router.contract.json_text import canonical, text_problems
from router.flow import auditing, known_schemas
from router.flow.json_schema import compile_schema
from router.flow.own_events import is_own_type
from router.flow.schemas import named_by_files
from router.models import EventSchema


@transaction.atomic
def register_schema(
    event_type: str, schema: Any, *, by: str, reason: str = ""
) -> tuple[EventSchema, bool]:
    """The schema's row, and whether it is new; the same again is the same row.

    It holds for what this process publishes from the commit on, for others at most
    `ROUTER["SCHEMA_REFRESH_SECONDS"]` later. Raises `InvalidSchema` with pointers, or
    `SchemaConflict` for an `$id` that names another schema: versions never change,
    since recorded events name them.
    """
    _check(event_type, schema)
    identity = schema["$id"]
    if identity in named_by_files():
        raise SchemaConflict(f"{identity} is a file of ROUTER['SCHEMAS'].")
    row, is_new = EventSchema.objects.get_or_create(
        dataschema=identity, defaults={"type": event_type, "schema": schema}
    )
    if is_new:
        auditing.note(
            "schema.registered",
            f"schema {identity}",
            by=by,
            reason=reason,
            detail=event_type,
        )
        transaction.on_commit(known_schemas.forget)
    elif row.type != event_type or canonical(row.schema) != canonical(schema):
        raise SchemaConflict(
            f"{identity} names another schema, of {row.type}. Give the new version an "
            "$id of its own."
        )
    return row, is_new


def _check(event_type: str, schema: Any) -> None:
    problems = [
        *_type_problems(event_type),
        *_identity_problems(schema),
        *_json_problems(schema),
    ]
    if not problems:
        try:
            compile_schema(schema)
        except InvalidSchema as error:
            problems = [(f"/schema{where}", told) for where, told in error.problems]
    if problems:
        told = "; ".join(f"{where} {detail}" for where, detail in problems[:5])
        raise InvalidSchema(f"This can't be registered: {told}.", problems=problems)


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
