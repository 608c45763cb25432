"""JSON Schema (draft 2020-12): compiled once, and never by asking another host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jsonschema_rs

from router.contract.errors import InvalidSchema

DRAFT = "https://json-schema.org/draft/2020-12/schema"
Validator = jsonschema_rs.Draft202012Validator


def compile_schema(schema: Any) -> Validator:
    """The schema's validator. Raises `InvalidSchema` pointing into the schema."""
    if not isinstance(schema, dict):
        raise _invalid("", "must be an object")
    if schema.get("$schema", DRAFT) != DRAFT:
        raise _invalid("/$schema", f"must be {DRAFT}")
    try:
        # The default mask would repeat the value: customers' data in errors and logs.
        return Validator(schema, mask="the value", validate_formats=True, offline=True)
    except jsonschema_rs.ValidationError as error:
        told = error.message
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
            told = "refers to what is not in it; put it into $defs"
        raise _invalid(pointer(error.instance_path), told) from None
    except ValueError as error:
        raise _invalid("", str(error)) from None


def pointer(path: Iterable[str | int]) -> str:
    """The steps as a JSON pointer (RFC 6901, section 3)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps)


def _invalid(where: str, told: str) -> InvalidSchema:
    return InvalidSchema(
        f"This is no JSON Schema: {where or 'the schema'} {told}.",
        problems=[(where, told)],
    )
