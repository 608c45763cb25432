"""An example of a schema is data that people can read, whatever the schema is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from router.contract.example import example_of

CASES: list[tuple[dict[str, Any], Any]] = [
    ({"const": 7}, 7),
    ({"type": "string", "examples": ["EUR", "USD"]}, "EUR"),
    ({"enum": ["a", "b"]}, "a"),
    ({"type": "integer", "default": 3}, 3),
    ({"type": "string"}, "…"),
    ({"type": "string", "format": "date-time"}, "2026-01-31T12:00:00Z"),
    ({"type": ["null", "integer"]}, 1),
    ({"type": "number", "minimum": 5}, 5),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"items": {"type": "string"}}, ["…"]),
    ({"properties": {"a": {"type": "integer"}, "b": True}}, {"a": 1, "b": None}),
    ({"$ref": "#/$defs/x~1y", "$defs": {"x/y": {"const": 1}}}, 1),
    ({"allOf": [{"properties": {"a": {"const": 1}}},
                {"properties": {"b": {"const": 2}}}]}, {"a": 1, "b": 2}),
    ({"oneOf": [{"const": 1}, {"const": 2}]}, 1),
    # None of these leads anywhere.
    ({"$ref": "#/$defs/missing"}, None),
    ({"$ref": "https://elsewhere.example/schema"}, None),
    ({"$ref": "#anchor"}, None),
    ({"$ref": 7, "type": 7, "properties": 7, "allOf": 7, "enum": []}, {}),
    ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), CASES, ids=lambda case: str(case)[:40])
def test_an_example_is_made_from_what_the_schema_says(
    schema: dict[str, Any], expected: Any
) -> None:
    assert example_of(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"properties": {"again": {"$ref": "#"}, "twice": {"$ref": "#"}}},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]},
        {"type": "array", "items": {"$ref": "#"}},
        {"properties": {str(n): {"$ref": "#"} for n in range(1000)}},
    ],
)
def test_a_schema_without_end_has_a_short_example(schema: dict[str, Any]) -> None:
    assert len(json.dumps(example_of(schema))) < 40_000
