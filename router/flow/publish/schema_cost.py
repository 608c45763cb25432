"""The worst cost of checking data against a JSON Schema, known before any data is.

A validator can't be stopped once it runs, so the bound is kept beforehand: a schema's
weight is the nanoseconds that a byte of the worst data may take, and data may have only
as many bytes as fit into a second. The constants were measured with jsonschema-rs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin

import jsonschema_rs

from router.contract.errors import InvalidSchema
from router.contract.json_text import MAX_DEPTH, canonical
from router.flow.publish.pattern_cost import (
    BACKTRACKING_NS,
    pattern_bytes,
    pattern_ns,
    patterns_in,
)

DRAFT = "https://json-schema.org/draft/2020-12/schema"
BUDGET_NS = 1_000_000_000
#: So that at least 64 KiB of data can be checked.
MAX_WEIGHT = BUDGET_NS // (64 * 1024)
MAX_SCHEMA_BYTES = 128 * 1024
MAX_SUBSCHEMAS = 2_000
#: Subschemas times the depths of data that they are weighed for.
MAX_WEIGHED = 50_000
#: Every process keeps every schema.
MAX_PATTERN_BYTES = 5_000_000

#: Every node of the data has two bytes at least.
KEYWORD_NS = 8
#: Comparing a whole number with a float, or a list with a list, for each candidate.
LITERAL_NS = 350
#: Of a bound with a float; of the items of a list with each other.
BOUND_NS = 200
UNIQUE_NS = 1_300
DIVISION_NS = 2_200
FORMAT_NS = 100
#: Each level asks the levels below it again.
UNEVALUATED_FACTOR = 3

IN_PLACE = (
    "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas",
    # Of older drafts, and still obeyed by the library.
    "dependencies",
)  # fmt: skip
OBJECT = ("patternProperties", "propertyNames", "unevaluatedProperties")
ARRAY = ("contains", "unevaluatedItems")
OTHERS = ("$defs", "definitions", "properties", "additionalProperties", "prefixItems")
WITH_SCHEMAS = (*IN_PLACE, *OBJECT, *ARRAY, *OTHERS, "items", "contentSchema")
#: Their values are schemas by name.
NAMED = {
    "$defs", "definitions", "properties", "patternProperties", "dependentSchemas",
    "dependencies",
}  # fmt: skip
BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
REFERENCES = {"$ref", "$dynamicRef"}
#: A whole number beyond it is refused, in a schema and in data that is checked.
LARGEST = 10**100
NOT_LINEAR = (
    "is a pattern with look-around or a back-reference, or too large a one; use a "
    "plain one, and maxLength for a length"
)
Problem = tuple[str, str]
Schema = Mapping[str, Any]


def weight(schema: Schema) -> float:
    """Nanoseconds for each byte of the worst data; infinite where that is not known."""
    return _most(schema, _own)


def width(schema: Schema) -> float:
    """How many failures one value can have at most; infinite where not known."""
    return _most(schema, _failures)


def _most(schema: Schema, own: Callable[[Schema], float]) -> float:
    try:
        return Widest(schema, own).most()
    except InvalidSchema:
        return math.inf


def size_problem(schema: Schema) -> str | None:
    """Why the schema is too large to compile; None when it is not."""
    if len(canonical(schema).encode()) > MAX_SCHEMA_BYTES:
        return f"is longer than {MAX_SCHEMA_BYTES // 1024} KiB"
    size = 0
    for pattern in set(patterns_in(schema)):
        size += pattern_bytes(pattern)
        if size > MAX_PATTERN_BYTES:
            return (
                f"has patterns that need more than {MAX_PATTERN_BYTES // 1_000_000} MB "
                "when they are compiled; use maxLength in place of large repetitions"
            )
    return None


def cost_problems(schema: Schema) -> Iterator[Problem]:
    """Pairs of JSON pointer and what to change in a valid schema to be admitted."""
    widest = Widest(schema, _own)
    if len(widest.subschemas) > MAX_SUBSCHEMAS:
        yield "", f"has more than {MAX_SUBSCHEMAS:,} subschemas"
        return
    refused: Sequence[Problem] = ()
    try:
        most = widest.most()
    except InvalidSchema as error:
        most, refused = 0, error.problems
    # Now with those that only a reference leads to.
    for pointer, subschema in widest.subschemas:
        yield from _keyword_problems(pointer, subschema)
    yield from refused
    if most > MAX_WEIGHT:
        detail = (
            "costs too much to check: let fewer branches, patterns and numbers apply "
            "to one value, and fewer references lead to each other"
        )
        yield "", detail


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What is in one subschema, by which value it applies to: the same value, some or
    each property, some or each item. It is looked at for each depth of the data."""

    in_place: Sequence[Any]
    names: Sequence[Any]
    every_name: Sequence[Any]
    items: Sequence[Any]
    every_item: Sequence[Any]


class Widest:
    """The costs of the subschemas that apply to the same value, added up."""

    def __init__(self, schema: Schema, own: Callable[[Schema], float]) -> None:
        """`own` is what the keywords of one subschema cost, without those in it."""
        self._root = schema
        self._own = own
        self._weights: dict[tuple[int, int], float] = {}
        self._open: set[int] = set()
        #: Identity of a subschema → what is in it.
        self._parts: dict[int, _Parts] = {}
        #: Identity of a subschema → the URI that its references are relative to.
        self._bases: dict[int, str] = {}
        self._places: dict[str, Schema] = {}
        self.subschemas: list[tuple[str, Schema]] = []
        self._collect("", schema, str(schema.get("$id", "")))

    def most(self) -> float:
        """The largest sum of any value; beyond `MAX_WEIGHT` it is not looked for.

        Raises `InvalidSchema` for a schema that refers to itself without going into
        the data, or to what is not in it.
        """
        most = 0.0
        try:
            for depth in range(MAX_DEPTH + 1):
                level = self._at(self._root, depth)
                most = max(most, level)
                if not level or most > MAX_WEIGHT:
                    break
        except RecursionError:
            raise _invalid("has too many references inside each other") from None
        return most

    def _at(self, schema: Any, depth: int) -> float:
        """What this schema costs for each byte of the data `depth` levels below."""
        if not isinstance(schema, Mapping):
            return KEYWORD_NS if depth == 0 else 0
        key = (id(schema), depth)
        if key not in self._weights:
            if len(self._weights) > MAX_WEIGHED:
                raise _invalid("has too many subschemas that refer to themselves")
            if id(schema) in self._open:
                raise _invalid("refers to itself without going into the data")
            self._open.add(id(schema))
            self._weights[key] = self._sum(schema, depth)
            self._open.discard(id(schema))
        return self._weights[key]

    def _sum(self, schema: Schema, depth: int) -> float:
        parts = self._parts.get(id(schema)) or self._take_apart(schema)
        in_place = self._sum_of(parts.in_place, depth)
        if any(keyword.startswith("unevaluated") for keyword in schema):
            in_place *= UNEVALUATED_FACTOR
        if depth == 0:
            return in_place + self._own(schema)
        opened, self._open = self._open, set()
        below = max(
            self._most_of(parts.names, depth - 1)
            + self._sum_of(parts.every_name, depth - 1),
            self._most_of(parts.items, depth - 1)
            + self._sum_of(parts.every_item, depth - 1),
        )
        self._open = opened
        return in_place + below

    def _take_apart(self, schema: Schema) -> _Parts:
        self._parts[id(schema)] = parts = _Parts(
            in_place=list(self._in_place(schema)),
            names=_all(schema, ("properties", "additionalProperties")),
            every_name=_all(schema, OBJECT),
            items=_all(schema, ("prefixItems", "items")),
            every_item=_all(schema, ARRAY),
        )
        return parts

    def _in_place(self, schema: Schema) -> Iterator[Any]:
        for keyword in IN_PLACE:
            yield from _values(schema, keyword)
        for keyword in REFERENCES & schema.keys():
            yield self._referred(schema, schema[keyword])

    def _most_of(self, schemas: Sequence[Any], depth: int) -> float:
        return max((self._at(part, depth) for part in schemas), default=0)

    def _sum_of(self, schemas: Sequence[Any], depth: int) -> float:
        return sum(self._at(part, depth) for part in schemas)

    def _collect(self, pointer: str, schema: Any, base: str) -> None:
        if not isinstance(schema, Mapping) or id(schema) in self._bases:
            return
        base = urldefrag(_joined(base, str(schema.get("$id", "")))).url
        self._bases[id(schema)] = base
        self.subschemas.append((pointer, schema))
        if "$id" in schema or schema is self._root:
            self._places[base] = schema
        for keyword in ("$anchor", "$dynamicAnchor"):
            if keyword in schema:
                self._places[f"{base}#{schema[keyword]}"] = schema
        for keyword in WITH_SCHEMAS:
            for step, inner in _steps(schema, keyword):
                self._collect(f"{pointer}/{keyword}{step}", inner, base)

    def _referred(self, schema: Schema, reference: str) -> Any:
        base = self._bases.get(id(schema), "")
        url, fragment = urldefrag(_joined(base, reference))
        if fragment and not fragment.startswith("/"):
            url, fragment = f"{url}#{fragment}", ""
        try:
            place: Any = self._places[url]
            for step in unquote(fragment).split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                place = place[int(name) if isinstance(place, list) else name]
        except (LookupError, ValueError, TypeError):
            raise _invalid("refers to what is not in it; put it into $defs") from None
        if id(place) not in self._bases and not _is_schema(place):
            raise _invalid(f"refers to {reference}, which is no schema")
        self._collect(fragment, place, url)
        return place


def _is_schema(place: Any) -> bool:
    """Behind a keyword that is not known nothing was looked at."""
    if not isinstance(place, Mapping):
        return isinstance(place, bool)
    return jsonschema_rs.meta.is_valid({**place, "$schema": DRAFT})


def _joined(base: str, reference: str) -> str:
    """The library's own takes the base away where it is a URN."""
    return base + reference if reference[:1] in ("", "#") else urljoin(base, reference)


def _all(schema: Schema, keywords: tuple[str, ...]) -> list[Any]:
    return [part for name in keywords for part in _values(schema, name)]


def _values(schema: Schema, keyword: str) -> list[Any]:
    return [inner for _, inner in _steps(schema, keyword)]


def _steps(schema: Schema, keyword: str) -> list[tuple[str, Any]]:
    """The schemas of a keyword, each with the rest of its pointer."""
    value = schema.get(keyword)
    if isinstance(value, list):
        return [(f"/{index}", item) for index, item in enumerate(value)]
    if keyword in NAMED and isinstance(value, Mapping):
        return [(f"/{_escaped(name)}", item) for name, item in value.items()]
    return [("", value)] if isinstance(value, Mapping) else []


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _own(schema: Schema) -> float:
    """The cost of the keywords themselves, without the schemas in them."""
    return KEYWORD_NS + sum(_of(name, value) for name, value in schema.items())


def _of(keyword: str, value: Any) -> float:
    match keyword:
        case "enum":
            compared = sum(map(_numbers_in, value))
            # The library looks texts up in a table where there is nothing else.
            texts = len(value) if compared else 1
            return KEYWORD_NS * texts + LITERAL_NS * compared
        case "const":
            return KEYWORD_NS + LITERAL_NS * _numbers_in(value)
        case "pattern":
            return pattern_ns(value)
        case "patternProperties":
            return sum(map(pattern_ns, value))
        case "multipleOf" if not isinstance(value, int):
            return DIVISION_NS
        case "format":
            return FORMAT_NS
        case "uniqueItems":
            return UNIQUE_NS
        case "dependentRequired" | "dependencies":
            lists = [names for names in value.values() if isinstance(names, list)]
            return KEYWORD_NS * (len(value) + sum(map(len, lists)))
        case "dependentSchemas":
            return KEYWORD_NS * len(value)
    if keyword in BOUNDS and not (isinstance(value, int) and abs(value) < 2**63):
        return BOUND_NS
    return KEYWORD_NS


def _failures(schema: Schema) -> int:
    """How many failures its own keywords can have: one for each name that lacks."""
    dependent = (schema.get(name, {}) for name in ("dependentRequired", "dependencies"))
    lists = [
        schema.get("required", ()),
        *(names for by_name in dependent for names in by_name.values()),
    ]
    return len(schema) + sum(len(names) for names in lists if isinstance(names, list))


def _numbers_in(literal: Any) -> int:
    """How many comparisons this candidate costs that are not of texts."""
    match literal:
        case str() | bool() | None:
            return 0
        case list():
            return 1 + sum(map(_numbers_in, literal))
        case dict():
            return 1 + sum(map(_numbers_in, literal.values()))
    return 1


def wide_numbers(value: Any) -> Iterator[int]:
    """The whole numbers in it that need more than 64 bits: they compare slowly."""
    match value:
        case int() if abs(value) >= 2**64:
            yield value
        case list():
            for inner in value:
                yield from wide_numbers(inner)
        case dict():
            for inner in value.values():
                yield from wide_numbers(inner)


def _keyword_problems(pointer: str, schema: Schema) -> Iterator[Problem]:
    if schema.get("$schema", DRAFT) != DRAFT:
        # Other drafts have other keywords.
        yield f"{pointer}/$schema", f"must be {DRAFT}"
    if "$dynamicRef" in schema:
        yield f"{pointer}/$dynamicRef", "is not offered; use $ref"
    patterns = [("/pattern", schema["pattern"])] if "pattern" in schema else []
    for name in schema.get("patternProperties", {}):
        patterns.append((f"/patternProperties/{_escaped(name)}", name))
    for place, pattern in patterns:
        if pattern_ns(pattern) == BACKTRACKING_NS:
            yield f"{pointer}{place}", NOT_LINEAR
    if not 1e-9 <= schema.get("multipleOf", 1) <= 1e15:
        yield f"{pointer}/multipleOf", "must be from 1e-9 to 1e15"
    values = [schema.get(keyword) for keyword in ("enum", "const", *BOUNDS)]
    if any(abs(number) >= LARGEST for number in wide_numbers(values)):
        yield pointer, "has a number of more than 100 digits"


def _invalid(detail: str) -> InvalidSchema:
    return InvalidSchema(f"This schema {detail}.", problems=[("", detail)])
