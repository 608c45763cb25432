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
#: The longest whole number that Python reads.
MAX_DIGITS = 4300
#: Stands for what no text may hold.
REPLACEMENT = "\ufffd"


# `json.dumps` makes one at each call.
_DUMPED = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
)


class _Lost(float):
    """Stands for a number that a float can't hold, or that is too long."""


class _Numbers:
    """Reads the numbers of a JSON text, and knows whether all were read exactly."""

    are_exact = True

    def decimal(self, digits: str) -> float:
        value = float(digits)
        return value if _is_exact(digits, value) else self._lost()

    def whole(self, digits: str) -> float:
        is_short = len(digits.lstrip("-")) <= MAX_DIGITS
        return int(digits) if is_short else self._lost()

    def _lost(self) -> _Lost:
        self.are_exact = False
        return _Lost(0)


def canonical(value: Any) -> str:
    """One text for equal JSON values: sorted keys, no spaces, no escapes of what UTF-8
    can say.

    Raises `InvalidEvent` for what JSON can't say: NaN, infinity, other objects.
    """
    try:
        return _CANONICAL.encode(value)
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
    text = _DUMPED.encode(value)
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
    with a pointer to each number that would be rounded, or is too long.
    """
    numbers = _Numbers()
    try:
        value = _loads(text, parse_float=numbers.decimal)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Perhaps of a number that is too long, whose place Python does not name.
        value = _loads(text, parse_float=numbers.decimal, parse_int=numbers.whole)
    if numbers.are_exact:
        return value
    detail = "is a number that can not be kept exactly; send it as a string"
    problems = [(place, detail) for place in _lost_places(value, pointer)]
    places = ", ".join(place or "the body" for place, _ in problems[:5])
    raise InvalidEvent(
        f"The number at {places} can not be kept exactly; send it as a string.",
        problems=problems,
    )


def text_problems(value: Any, pointer: str) -> list[tuple[str, str]]:
    """What of a JSON value no database keeps, or some reader can't follow.

    Raises `InvalidEvent` for what JSON can't say.
    """
    text = canonical(value)
    problems = []
    if "\\u0000" in text and "\\u0000" in text.replace("\\\\", " "):
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


def _lost_places(value: Any, pointer: str) -> Iterator[str]:
    """Where the numbers are that were not read exactly."""
    if isinstance(value, _Lost):
        yield pointer
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _lost_places(inner, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for name, inner in value.items():
            step = name.replace("~", "~0").replace("/", "~1")
            yield from _lost_places(inner, f"{pointer}/{step}")


def _loads(text: str, **readers: Any) -> Any:
    return json.loads(
        text,
        parse_constant=_refuse_constant,
        object_pairs_hook=_object,
        **readers,
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object, each name once: readers differ in which value of two they take."""
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {json.dumps(twice)[:80]} stands twice in an object")
    return value


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
