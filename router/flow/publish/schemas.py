"""JSON Schemas by event type, checked at publish.

`ROUTER["SCHEMAS"]` names the files of each type, oldest version first; others are
registered while the router runs, and are newer than the files. A schema's `$id` is the
`dataschema` that events carry (CloudEvents 1.0, section 3.1). Versions live side by
side; an event that names none gets the newest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from time import thread_time
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from router.conf import conf
from router.contract.data import is_json
from router.contract.errors import InvalidSchema, SchemaViolation, named
from router.contract.event import Event
from router.flow.publish import registered_schemas
from router.flow.publish.json_schema import CompiledSchema, compile_schema
from router.models import EventSchema

MAX_BATCH_SECONDS = 3.0
#: Seconds that the checks of this batch have taken; None outside of a batch.
_spent: ContextVar[list[float] | None] = ContextVar("spent", default=None)


def check_data(event: Event) -> None:
    """Check the event's data against the schema that it names.

    Data that is not JSON has none, and a retired schema refuses nothing. Raises
    `SchemaViolation` with a JSON pointer for each fault, also when the type has schemas
    and the event names another one.
    """
    if not is_json(event.datacontenttype):
        return
    schemas = _schemas_of(event.type)
    if event.dataschema and event.dataschema not in schemas:
        schemas |= registered_schemas.look_again(event.type, event.dataschema)
    live = _live(schemas)
    if not live or schemas.get(event.dataschema, ...) is None:
        return
    if event.dataschema not in live:
        detail = f"is not a schema of {event.type}; known: {', '.join(live)}"
        raise SchemaViolation(
            f"dataschema {detail}.", problems=[("/dataschema", detail)]
        )
    problems = [
        (f"/data{pointer}", detail)
        for pointer, detail in _timed(live[event.dataschema], event.data)
    ]
    if problems:
        raise SchemaViolation(
            f"The data does not fit {event.dataschema}: {named(problems)}.",
            problems=problems,
        )


@contextmanager
def as_one_batch() -> Iterator[None]:
    """All checks within take `MAX_BATCH_SECONDS` and the time of one check at most."""
    token = _spent.set([0.0])
    try:
        yield
    finally:
        _spent.reset(token)


def _timed(schema: CompiledSchema, data: Any) -> Sequence[tuple[str, str]]:
    spent = _spent.get()
    if spent is None:
        return schema.problems(data)
    if spent[0] > MAX_BATCH_SECONDS:
        return [("", "was not checked: the batch takes too long; send fewer events")]
    began = thread_time()
    problems = schema.problems(data)
    spent[0] += thread_time() - began
    return problems


def with_schema(event: Event) -> Event:
    """The event, naming the newest schema of its type where it names none.

    Data that is not JSON has no schema.
    """
    if event.dataschema or not is_json(event.datacontenttype):
        return event
    known = _schemas_of(event.type)
    newest = next(reversed(_live(known)), "") if known else ""
    if not newest:
        return event
    # Not checked again: an older release registered schemas under any `$id`.
    return Event.recorded({**event.__dict__, "dataschema": newest})


def in_force(event_type: str) -> list[str]:
    """The `$id` of each schema that events of the type are checked against, oldest
    first."""
    return list(_live(_schemas_of(event_type)))


def newest_schema(event_type: str) -> tuple[str, Mapping[str, Any]] | None:
    """The `$id` and the document of the newest schema in force; None without one."""
    live = _live(_schemas_of(event_type))
    if not live:
        return None
    identity, compiled = list(live.items())[-1]
    return identity, compiled.schema


def described_types() -> set[str]:
    """Every event type that a file or a registered schema describes."""
    return {*conf().schemas, *registered_schemas.types()}


def documents_of(event_type: str) -> list[dict[str, Any]]:
    """Every schema of the type, as JSON: of files, registered, and retired."""
    files = [compiled.schema for compiled in of_files(event_type).values()]
    rows = EventSchema.objects.filter(type=event_type).order_by("pk")
    return [*files, *rows.values_list("schema", flat=True)]


def of_files(event_type: str) -> dict[str, CompiledSchema]:
    """The schemas of the type that are files, by their `$id`, the oldest first."""
    return dict(map(load, conf().schemas.get(event_type, ())))


def named_by_files() -> set[str]:
    """The `$id` of every schema that is a file."""
    return {load(path)[0] for paths in conf().schemas.values() for path in paths}


@cache
def load(path: Path) -> tuple[str, CompiledSchema]:
    """A schema file's `$id` and the schema, compiled.

    Raises `ImproperlyConfigured` for a file that is missing or is no JSON Schema.
    """
    try:
        schema = json.loads(path.read_text())
        return str(schema["$id"]), compile_schema(schema, is_trusted=True)
    except (OSError, ValueError, LookupError, TypeError, InvalidSchema) as error:
        raise ImproperlyConfigured(
            f'ROUTER["SCHEMAS"]: {path} is no JSON Schema with an $id: {error}.'
        ) from None


def _schemas_of(event_type: str) -> registered_schemas.Known:
    """The schemas of the type, the oldest first."""
    return {**of_files(event_type), **registered_schemas.of_type(event_type)}


def _live(schemas: registered_schemas.Known) -> dict[str, CompiledSchema]:
    return {name: schema for name, schema in schemas.items() if schema is not None}
