"""JSON as text: written as UTF-8, and read without rounding a number."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

from router.contract.errors import InvalidEvent

#: Far below where Python's JSON gives up, which a worker would do at every claim.
MAX_DEPTH = 100
SURROGATE = re.compile(r"[\ud800-\udfff]")
#: Stands for what no text may hold.
REPLACEMENT = "\ufffd"


class _Rounded(float):
    """A number that a float can't hold."""


def canonical(value: Any) -> str:
    """One text for equal JSON values: sorted keys, no spaces, no escapes of what UTF-8
    can say.

    Raises `InvalidEvent` for what JSON can't say: NaN, infinity, other objects.
    """
    try:
        return json.dumps(
            value,
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
            ensure_ascii=False,
        )
    except (TypeError, ValueError, RecursionError) as error:
        detail = f"is not JSON: {error}"
        if "Decimal" in str(error):
            detail += "; send it as a string"
        raise InvalidEvent(
            f"The event's data {detail}.", problems=[("/data", detail)]
        ) from None


def dumped(value: Any) -> str:
    """The JSON text of a value, without spaces; UTF-8 can always encode it.

    Half of a surrogate pair, which older releases recorded, becomes U+FFFD.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return text if text.isascii() else SURROGATE.sub(REPLACEMENT, text)


def repaired(value: Any) -> Any:
    """The value as JSON in UTF-8 can carry it, whatever an older release recorded.

    Half of a surrogate pair becomes U+FFFD; NaN and infinity become null.
    """
    match value:
        case str():
            return SURROGATE.sub(REPLACEMENT, value)
        case dict():
            return {repaired(name): repaired(inner) for name, inner in value.items()}
        case list() | tuple():
            return [repaired(inner) for inner in value]
        case float() if not math.isfinite(value):
            return None
    return value


def parse(text: str, *, pointer: str = "") -> Any:
    """The value of a JSON text (RFC 8259), every number of it exact.

    `pointer` leads to the value in what errors point into. Raises `ValueError` for
    what is not JSON, `RecursionError` for what is nested too deeply, `InvalidEvent`
    with a pointer to each number that would be rounded.
    """
    rounded: list[str] = []

    def number(digits: str) -> float:
        value = float(digits)
        if _is_exact(digits, value):
            return value
        rounded.append(digits)
        return _Rounded(0)

    value = json.loads(text, parse_float=number, parse_constant=_refuse_constant)
    if rounded:
        detail = "is a number with more digits than are kept; send it as a string"
        problems = [(found, detail) for found in _rounded(value, pointer)]
        places = ", ".join(found or "the body" for found, _ in problems[:5])
        raise InvalidEvent(
            f"The number at {places} would be rounded; send it as a string.",
            problems=problems,
        )
    return value


def text_problems(value: Any, pointer: str) -> list[tuple[str, str]]:
    """What of a JSON value no database keeps, or some reader can't follow.

    Raises `InvalidEvent` for what JSON can't say.
    """
    text = canonical(value)
    problems = []
    if "\\u0000" in text.replace("\\\\", " "):
        problems.append((pointer, "contains the character U+0000; leave it out"))
    if not text.isascii() and SURROGATE.search(text):
        problems.append((pointer, "contains half of a surrogate pair; leave it out"))
    # No deeper than it has brackets: the look is taken at odd data only.
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_too_deep(value):
        problems.append((pointer, f"is nested deeper than {MAX_DEPTH} levels"))
    return problems


def _is_exact(digits: str, value: float) -> bool:
    """Whether the float says what the digits say, as it is written itself."""
    written = repr(value)
    if written == digits:
        return True
    try:
        return Decimal(written) == Decimal(digits)
    except ArithmeticError:
        return False


def _rounded(value: Any, pointer: str) -> Iterator[str]:
    """Where the numbers are that were rounded."""
    if isinstance(value, _Rounded):
        yield pointer
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _rounded(inner, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for name, inner in value.items():
            step = name.replace("~", "~0").replace("/", "~1")
            yield from _rounded(inner, f"{pointer}/{step}")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not allowed")


def _is_too_deep(data: Any) -> bool:
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list | tuple)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, dict | list | tuple) for inner in level)
