"""JSON Schema (draft 2020-12): compiled once, and never by asking another host."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import jsonschema_rs

from router.contract.errors import MAX_PROBLEMS, InvalidSchema
from router.contract.json_text import dumped
from router.flow.publish.schema_cost import (
    BUDGET_NS,
    DRAFT,
    LARGEST,
    weight,
    wide_numbers,
    width,
)

Validator = jsonschema_rs.Draft202012Validator
#: The engine that never backtracks, and the one for what files and older releases have.
LINEAR = jsonschema_rs.RegexOptions(size_limit=1_000_000, dfa_size_limit=100_000)
BACKTRACKING = jsonschema_rs.FancyRegexOptions(backtrack_limit=2_000)
MAX_WIDE_NUMBERS = 100
MAX_DETAIL = 500
#: Of a second look that says where the fault is.
LOCATING_NS = BUDGET_NS // 4
#: Collecting a failure takes 11 µs, and the library collects all before the first; each
#: may repeat a part of the schema.
MAX_COLLECTED = 50_000
MAX_COLLECTED_BYTES = 50_000_000
TOO_LARGE = [("", "does not fit; it is too large to say where")]
LONG_DIGITS = re.compile(r"\d{20}")
BRANCHES = re.compile(r'"(?:anyOf|oneOf)":')
Problem = tuple[str, str]


@dataclass(frozen=True)
class CompiledSchema:
    """A schema that data is checked against, within a second at worst.

    Of a schema that the operator wrote (`is_trusted`) the cost is not limited: a system
    check names it.
    """

    schema: dict[str, Any]
    validator: Validator
    is_trusted: bool = False

    @cached_property
    def max_bytes(self) -> float:
        """The largest data that can be checked in time."""
        return math.inf if self.is_trusted else BUDGET_NS // self._weight

    def problems(self, data: Any) -> list[Problem]:
        """Pairs of JSON pointer and what is wrong there; none where the data fits."""
        text = dumped(data)
        size = len(text.encode())
        if size > self.max_bytes:
            most = f"{self.max_bytes:,.0f}"
            return [("", f"has {size:,} bytes; this schema can check {most} in time")]
        if LONG_DIGITS.search(text) and (problem := _wide_problem(data)):
            return [("", problem)]
        if self.validator.is_valid(data):
            return []
        if size * self._weight > LOCATING_NS:
            return TOO_LARGE
        return self._failures(data, most=_nodes(text) * self._width)

    def _failures(self, data: Any, *, most: float) -> list[Problem]:
        """Where the data does not fit; there are at `most` as many places."""
        if most <= self._max_collected:
            errors = self.validator.iter_errors(data)
            return [_problem(error) for error in islice(errors, MAX_PROBLEMS)]
        if self._has_branches:
            # The library would collect the failures of every branch.
            return TOO_LARGE
        try:
            self.validator.validate(data)
        except jsonschema_rs.ValidationError as error:
            return [_problem(error)]
        return []

    @cached_property
    def _weight(self) -> float:
        return weight(self.schema)

    @cached_property
    def _max_collected(self) -> float:
        return min(MAX_COLLECTED, MAX_COLLECTED_BYTES / len(dumped(self.schema)))

    @cached_property
    def _width(self) -> float:
        """How many failures one value can have at most."""
        return width(self.schema)

    @cached_property
    def _has_branches(self) -> bool:
        return BRANCHES.search(dumped(self.schema)) is not None


def check_shape(schema: Any) -> None:
    """Raises `InvalidSchema` for what is no schema, as far as that is seen at once."""
    if not isinstance(schema, dict):
        raise _invalid("", "must be an object")
    if schema.get("$schema", DRAFT) != DRAFT:
        raise _invalid("/$schema", f"must be {DRAFT}")
    try:
        jsonschema_rs.meta.validate({**schema, "$schema": DRAFT})
    except jsonschema_rs.ValidationError as error:
        raise _invalid(
            pointer(error.instance_path), error.message[:MAX_DETAIL]
        ) from None


def compile_schema(schema: Any, *, is_trusted: bool = False) -> CompiledSchema:
    """The schema, compiled. Raises `InvalidSchema` pointing into it."""
    check_shape(schema)
    try:
        validator = _validator(schema, LINEAR)
    except InvalidSchema:
        validator = _validator(schema, BACKTRACKING)
    return CompiledSchema(schema, validator, is_trusted)


def _validator(schema: Any, pattern_options: Any) -> Validator:
    try:
        # The default mask would repeat the value: customers' data in errors and logs.
        return Validator(
            schema,
            mask="the value",
            validate_formats=True,
            offline=True,
            pattern_options=pattern_options,
        )
    except jsonschema_rs.ValidationError as error:
        detail = error.message
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Referencing):
            detail = "refers to what is not in it; put it into $defs"
        raise _invalid(pointer(error.instance_path), detail) from None
    except ValueError as error:
        raise _invalid("", str(error)) from None


def pointer(path: Iterable[str | int]) -> str:
    """The steps as a JSON pointer (RFC 6901, section 3)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps)


def _problem(error: jsonschema_rs.ValidationError) -> Problem:
    # It may name each property of the data.
    return pointer(error.instance_path), error.message[:MAX_DETAIL]


def _nodes(text: str) -> int:
    """How many values this JSON text has at most."""
    return text.count(",") + text.count("[") + text.count("{") + 1


def _wide_problem(data: Any) -> str | None:
    wide = list(islice(wide_numbers(data), MAX_WIDE_NUMBERS + 1))
    if len(wide) > MAX_WIDE_NUMBERS:
        return (
            f"has more than {MAX_WIDE_NUMBERS} whole numbers beyond 64 bits; send them "
            "as strings"
        )
    if any(abs(number) >= LARGEST for number in wide):
        return "has a number of more than 100 digits; send it as a string"
    return None


def _invalid(where: str, detail: str) -> InvalidSchema:
    return InvalidSchema(
        f"This is no JSON Schema: {where or 'the schema'} {detail}.",
        problems=[(where, detail)],
    )
