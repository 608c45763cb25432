"""Formats of text, as JSON Schema names them."""

from __future__ import annotations

from collections.abc import Callable

import jsonschema_rs

from router.contract.json_text import SURROGATE


def has_format(name: str) -> Callable[[str], bool]:
    """Tells of a text whether it has the format: `uri`, `date-time`."""
    schema = {"type": "string", "format": name}
    is_valid = jsonschema_rs.Draft202012Validator(
        schema, validate_formats=True
    ).is_valid

    def check(text: str) -> bool:
        # The library raises for what UTF-8 can't encode.
        return not SURROGATE.search(text) and is_valid(text)

    return check
