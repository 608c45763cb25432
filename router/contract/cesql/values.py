"""The three types of CESQL and the casts between them (CESQL 1.0, 3.1 and 3.7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from router.contract.cesql.errors import ErrorKind, EvaluationError

MIN_INTEGER, MAX_INTEGER = -(2**31), 2**31 - 1
INTEGER = re.compile(r"[+-]?[0-9]+")
BOOLEANS = {"true": True, "false": False}


Value: TypeAlias = str | int | bool
Attributes: TypeAlias = Mapping[str, Value]
#: Raises `EvaluationError` for what can't be cast.
Cast: TypeAlias = Callable[[Value], Any]


def to_string(value: Value) -> str:
    if isinstance(value, str):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_integer(value: Value) -> int:
    if type(value) is int:
        return value
    if isinstance(value, bool):
        return int(value)
    number = integer_of(str(value))
    if number is None:
        raise _uncastable(value, "Integer")
    return number


def to_boolean(value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value != 0
    boolean = BOOLEANS.get(value.lower())
    if boolean is None:
        raise _uncastable(value, "Boolean")
    return boolean


def any_value(value: Value) -> Value:
    """No cast, for what takes every type."""
    return value


def integer_of(text: str) -> int | None:
    """The Integer of 32 bits that a text says; None where it says none."""
    if not INTEGER.fullmatch(text):
        return None
    digits = text.lstrip("+-0")
    # Python refuses to read very long numbers.
    number = int(text) if len(digits) <= len(str(MAX_INTEGER)) else MAX_INTEGER + 1
    return number if MIN_INTEGER <= number <= MAX_INTEGER else None


def bounded(number: int) -> int:
    """The number. Raises `EvaluationError` where 32 bits do not hold it."""
    if MIN_INTEGER <= number <= MAX_INTEGER:
        return number
    raise EvaluationError(ErrorKind.MATH, f"{number} is no Integer of 32 bits")


CASTS: dict[type, Cast] = {str: to_string, int: to_integer, bool: to_boolean}
ZEROS: dict[type, Value] = {str: "", int: 0, bool: False}


def _uncastable(value: Value, kind: str) -> EvaluationError:
    return EvaluationError(ErrorKind.CAST, f"{str(value)[:50]!r} is no {kind}")
