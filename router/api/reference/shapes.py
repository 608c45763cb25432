"""What a body looks like: JSON Schema in, rows for a table out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from router.api.fields import ATTRIBUTE, NO_NUL, NOT_BLANK

Schema = Mapping[str, Any]
#: The references that were followed on the way: one of them again is a cycle.
Followed = frozenset[str]
NOTHING: Followed = frozenset()

#: How the description of an enumeration lists its labels.
LABEL = re.compile(r"^\* `(?P<value>.*)` - (?P<meaning>.*)$", re.MULTILINE)
#: Keyword → words; bounds of 64 bits and patterns of any text are left out.
LIMITS = {
    "minLength": "{} characters or more",
    "maxLength": "{} characters at most",
    "minItems": "{} items or more",
    "maxItems": "{} items at most",
    "minimum": "{} or more",
    "exclusiveMinimum": "more than {}",
    "maximum": "{} at most",
    "exclusiveMaximum": "less than {}",
    "pattern": "matches {}",
}
MAX_BOUND = 2**63 - 1
PLAIN_TEXT = (NO_NUL, NOT_BLANK, ATTRIBUTE)
PLAIN_FORMATS = ("int32", "int64", "float", "double")
KIND_OF: dict[type, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
    type(None): "null",
}


@dataclass(frozen=True)
class Choice:
    value: str
    #: Empty, where the value says it itself.
    meaning: str


@dataclass(frozen=True)
class Field:
    """One field, or one parameter: then `place` is `path`, `query` or `header`."""

    name: str
    type: str
    is_required: bool
    description: str = ""
    choices: tuple[Choice, ...] = ()
    limits: tuple[str, ...] = ()
    #: What leads to it from the outermost object: `results[].`.
    prefix: str = ""
    place: str = ""


@dataclass(frozen=True)
class Shape:
    type: str
    description: str
    fields: tuple[Field, ...]
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Shapes:
    """Reads the schemas of one OpenAPI document, whose components they refer to."""

    document: Schema

    def shape(self, schema: Schema) -> Shape:
        flat, _ = self.flat(schema)
        return Shape(
            type=self.type_of(schema),
            description=without_labels(flat.get("description", "")),
            fields=_each_once(self._fields(schema)),
            choices=self._choices(flat),
        )

    def field(self, name: str, schema: Schema, **known: Any) -> Field:
        """`known` has values that the schema lacks or that replace its own."""
        followed = known.pop("followed", NOTHING)
        flat, followed = self.flat(schema, followed)
        derived: dict[str, Any] = {
            "type": self.type_of(flat, followed),
            "description": without_labels(flat.get("description", "")),
            "choices": self._choices(flat, followed),
            "limits": tuple(self._limits(flat, followed)),
        }
        return Field(name=name, **(derived | known))

    def flat(
        self, schema: Any, followed: Followed = NOTHING
    ) -> tuple[dict[str, Any], Followed]:
        """The schema without `$ref` and `allOf`; a cycle ends as an object."""
        if not isinstance(schema, Mapping):
            return {}, followed
        parts = [*schema.get("allOf", ())]
        if (reference := schema.get("$ref")) in followed:
            parts.append({"type": "object", "description": "As above, again."})
        elif reference is not None:
            followed |= {reference}
            parts.append(self._target(reference))
        merged: dict[str, Any] = {}
        for part in parts:
            inner, followed = self.flat(part, followed)
            merged = _merged(merged, inner)
        own = {k: v for k, v in schema.items() if k not in ("$ref", "allOf")}
        return _merged(merged, own), followed

    def type_of(self, schema: Any, followed: Followed = NOTHING) -> str:
        """`array of string`, `integer or null`, `string (date-time)` …"""
        flat, followed = self.flat(schema, followed)
        words = [self.type_of(option, followed) for option in options(flat)]
        words = words or [self._word(kind, flat, followed) for kind in kinds(flat)]
        if flat.get("nullable"):
            words.append("null")
        return " or ".join(dict.fromkeys(words)) or "anything"

    def _word(self, kind: str, flat: Schema, followed: Followed) -> str:
        extra = flat.get("additionalProperties")
        if kind == "array":
            return f"array of {self.type_of(flat.get('items'), followed)}"
        if kind == "object" and isinstance(extra, Mapping) and extra:
            return f"map to {self.type_of(extra, followed)}"
        has_format = kind not in ("null", "object") and "format" in flat
        if has_format and flat["format"] not in PLAIN_FORMATS:
            return f"{kind} ({flat['format']})"
        return kind

    def _fields(
        self, schema: Any, followed: Followed = NOTHING, path: str = ""
    ) -> Iterator[Field]:
        flat, followed = self.flat(schema, followed)
        for option in options(flat):
            yield from self._fields(option, followed, path)
        for keyword, step in (("items", "[]"), ("additionalProperties", "{}")):
            if isinstance(flat.get(keyword), Mapping):
                yield from self._fields(flat[keyword], followed, path + step)
        for name, inner in flat.get("properties", {}).items():
            yield self.field(
                name,
                inner,
                followed=followed,
                is_required=name in flat.get("required", ()),
                prefix=f"{path}." if path else "",
            )
            yield from self._fields(inner, followed, f"{path}.{name}".lstrip("."))

    def _choices(
        self, flat: Schema, followed: Followed = NOTHING
    ) -> tuple[Choice, ...]:
        inner = [*options(flat), *filter(None, [flat.get("items")])]
        choices = [
            choice
            for schema in inner
            for choice in self._choices(*self.flat(schema, followed))
        ]
        labels = dict(LABEL.findall(flat.get("description", "")))
        for value in values(flat):
            label = labels.get(str(value), "")
            is_news = label.casefold() != str(value).casefold()
            choices.append(Choice(_written(value), label if is_news else ""))
        return tuple(dict.fromkeys(choices))

    def _limits(self, flat: Schema, followed: Followed) -> Iterator[str]:
        for keyword, words in LIMITS.items():
            bound = flat.get(keyword)
            is_wide = isinstance(bound, int) and abs(bound) >= MAX_BOUND
            if is_wide or bound in (None, *PLAIN_TEXT):
                continue
            is_any_text = keyword == "minLength" and bound == 1
            yield "not empty" if is_any_text else words.format(bound)
        if "default" in flat:
            yield f"default {_written(flat['default'])}"
        if "items" in flat:
            inner, followed = self.flat(flat["items"], followed)
            yield from (f"each {limit}" for limit in self._limits(inner, followed))

    def _target(self, reference: str) -> Any:
        """What a reference inside the document leads to (RFC 6901)."""
        node: Any = self.document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step.replace("~1", "/").replace("~0", "~")]
        return node


def options(flat: Schema) -> list[Any]:
    return [*flat.get("oneOf", ()), *flat.get("anyOf", ())]


def values(flat: Schema) -> list[Any]:
    """The values of an enumeration; that it may be null, its type says."""
    listed = [flat["const"]] if "const" in flat else flat.get("enum", ())
    return [value for value in listed if value is not None]


def kinds(flat: Schema) -> list[str]:
    """The names of its types, from `type` or from its other keywords."""
    named = flat.get("type")
    if named:
        return [named] if isinstance(named, str) else list(named)
    if "properties" in flat:
        return ["object"]
    if "items" in flat:
        return ["array"]
    listed = [flat["const"]] if "const" in flat else flat.get("enum", ())
    return [KIND_OF[type(value)] for value in listed]


def without_labels(description: str) -> str:
    return LABEL.sub("", description).strip()


def _written(value: Any) -> str:
    """As it stands in JSON; a text without its quotes, unless nothing would be left."""
    if isinstance(value, str) and value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _merged(schema: dict[str, Any], other: Schema) -> dict[str, Any]:
    merged = {**schema, **other}
    if "properties" in schema and "properties" in other:
        merged["properties"] = {**schema["properties"], **other["properties"]}
    if "required" in schema and "required" in other:
        merged["required"] = [*schema["required"], *other["required"]]
    return merged


def _each_once(fields: Iterator[Field]) -> tuple[Field, ...]:
    """A field of several alternatives is required where all of them require it."""
    field_at: dict[str, Field] = {}
    for field in fields:
        path = f"{field.prefix}{field.name}"
        before = field_at.get(path, field)
        both = before.is_required and field.is_required
        field_at[path] = replace(before, is_required=both)
    return tuple(field_at.values())
