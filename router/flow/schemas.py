"""JSON Schemas by event type, checked at publish.

`ROUTER["SCHEMAS"]` names the files of each type, oldest version first; a file's `$id`
is the `dataschema` that events carry (CloudEvents 1.0, section 3.1). Versions live side
by side; an event that names none gets the newest.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
from django.core.exceptions import ImproperlyConfigured

from router.conf import conf
from router.contract.errors import SchemaViolation
from router.contract.event import Event


def check_data(event: Event) -> None:
    """Check the event's data against the schema that it names.

    Raises `SchemaViolation` with a JSON pointer for each fault, also when the type has
    schemas and the event names another one.
    """
    known = conf().schemas.get(event.type)
    if not known:
        return
    validators = dict(load(path) for path in known)
    validator = validators.get(event.dataschema)
    if validator is None:
        told = f"is not a schema of {event.type}; known: {', '.join(validators)}"
        raise SchemaViolation(f"dataschema {told}.", problems=[("/dataschema", told)])
    problems = [
        (
            "/data" + "".join(f"/{_escaped(part)}" for part in error.instance_path),
            error.message,
        )
        for error in validator.iter_errors(event.data)
    ]
    if problems:
        told = "; ".join(f"{pointer}: {detail}" for pointer, detail in problems[:5])
        raise SchemaViolation(
            f"The data does not fit {event.dataschema}: {told}.", problems=problems
        )


def newest_schema(event_type: str) -> str:
    """The dataschema of an event that names none: empty for a type without schemas."""
    known = conf().schemas.get(event_type)
    return load(known[-1])[0] if known else ""


@cache
def load(path: Path) -> tuple[str, jsonschema_rs.Draft202012Validator]:
    """A schema file's `$id` and its validator.

    Raises `ImproperlyConfigured` for a file that is missing or is no JSON Schema.
    """
    try:
        schema: dict[str, Any] = json.loads(path.read_text())
        identity = str(schema["$id"])
        # The default mask would repeat the value: customers' data in errors and logs.
        validator = jsonschema_rs.Draft202012Validator(
            schema, mask="the value", validate_formats=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ImproperlyConfigured(
            f'ROUTER["SCHEMAS"]: {path} is no JSON Schema with an $id: {error}.'
        ) from None
    return identity, validator


def _escaped(part: str | int) -> str:
    """One step of a JSON pointer (RFC 6901, section 3)."""
    return str(part).replace("~", "~0").replace("/", "~1")
