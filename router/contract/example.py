"""Example data for a JSON Schema: for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
MAX_DEPTH = 8
#: A schema of a few lines may describe data without end.
MAX_VALUES = 300
#: In place of a text that the schema does not say enough of.
TEXT = "…"
TEXT_OF_FORMAT = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "uuid": "0190163d-8694-739b-aea5-966c26f8ad91",
}


def example_of(schema: Schema) -> Any:
    """Data that the schema describes, with every property; what it takes from `const`,
    `examples`, `default` and `enum` fits, and the rest has the right type."""
    return _Example(schema).of(schema, 0)


class _Example:
    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = MAX_VALUES

    def of(self, schema: Any, depth: int) -> Any:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            return None
        flat = self._flat(schema, depth)
        for given in _given(flat):
            return given
        match _kind(flat):
            case "object":
                return self._object(flat, depth)
            case "array":
                return [self.of(flat.get("items"), depth + 1)]
            case "string":
                return TEXT_OF_FORMAT.get(str(flat.get("format")), TEXT)
            case "integer" | "number":
                return flat.get("minimum", 1)
            case "boolean":
                return True
        return None

    def _object(self, flat: Schema, depth: int) -> dict[str, Any]:
        properties = _properties(flat)
        return {
            name: self.of(inner, depth + 1)
            for name, inner in properties.items()
            if self._left > 0
        }

    def _flat(self, schema: Any, depth: int) -> dict[str, Any]:
        """The schema with what it refers to, all of `allOf`, and the first choice."""
        self._left -= 1
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH or self._left < 0:
            return {}
        parts = [self._target(schema.get("$ref")), *_list(schema, "allOf")]
        parts += [*_list(schema, "oneOf")[:1], *_list(schema, "anyOf")[:1]]
        merged = dict(schema)
        for part in parts:
            inner = self._flat(part, depth + 1)
            properties = {**_properties(merged), **_properties(inner)}
            merged = {**inner, **merged}
            if properties:
                merged["properties"] = properties
        return merged

    def _target(self, reference: Any) -> Any:
        """What `#/$defs/name` leads to; None for any other reference."""
        if not isinstance(reference, str) or not reference.startswith("#"):
            return None
        node: Any = self._root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, Mapping) else None
        return node


def _given(flat: Schema) -> list[Any]:
    const = [flat["const"]] if "const" in flat else []
    default = [flat["default"]] if "default" in flat else []
    return [*const, *_list(flat, "examples"), *default, *_list(flat, "enum")]


def _kind(flat: Schema) -> str:
    kinds = flat.get("type")
    named = [kinds] if isinstance(kinds, str) else _list(flat, "type")
    by_keyword = {"properties": "object", "items": "array"}
    implied = [kind for keyword, kind in by_keyword.items() if keyword in flat]
    found = [each for each in named if each != "null"] or implied or named
    return str(found[0]) if found else ""


def _properties(schema: Schema) -> Schema:
    value = schema.get("properties")
    return value if isinstance(value, Mapping) else {}


def _list(schema: Schema, keyword: str) -> list[Any]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []
