"""The functions of CESQL 1.0 (3.5 and 3.7), and two of its drafts: IS_INT, IS_BOOL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from router.contract.cesql.errors import ErrorKind, EvaluationError
from router.contract.cesql.values import (
    BOOLEANS,
    MAX_INTEGER,
    MIN_INTEGER,
    Cast,
    Value,
    any_value,
    integer_of,
    to_boolean,
    to_integer,
    to_string,
)

#: What Unicode calls white space; Python's own `strip` takes control characters too.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
#: Of the texts that one function joins: an expression must not fill the memory.
MAX_JOINED = 1_000_000


@dataclass(frozen=True)
class Function:
    """How the arguments are cast, the type of the result, and the function itself."""

    parameters: tuple[Cast, ...]
    returns: type
    call: Callable[..., Value]
    #: The cast of any further arguments; None where there are none.
    variadic: Cast | None = None

    def casts(self, count: int) -> list[Cast] | None:
        """The casts of so many arguments; None where it does not take so many."""
        further = count - len(self.parameters)
        if further == 0:
            return list(self.parameters)
        if further < 0 or self.variadic is None:
            return None
        return [*self.parameters, *[self.variadic] * further]


def find(name: str, argument_count: int) -> tuple[Function, list[Cast]] | None:
    """The function of this name that takes so many arguments, and their casts."""
    for function in FUNCTIONS.get(name.upper(), ()):
        casts = function.casts(argument_count)
        if casts is not None:
            return function, casts
    return None


def _failed(message: str, value: str = "") -> EvaluationError:
    return EvaluationError(ErrorKind.FUNCTION_EVALUATION, message, value=value)


def _concat(*texts: str) -> str:
    return _concat_ws("", *texts)


def _concat_ws(delimiter: str, *texts: str) -> str:
    length = sum(map(len, texts)) + len(delimiter) * len(texts)
    if length > MAX_JOINED:
        raise _failed(f"the joined text has more than {MAX_JOINED:,} characters")
    return delimiter.join(texts)


def _left(text: str, length: int) -> str:
    if length < 0:
        raise _failed(f"LEFT takes no length of {length}", text)
    return text[:length]


def _right(text: str, length: int) -> str:
    if length < 0:
        raise _failed(f"RIGHT takes no length of {length}", text)
    return text[max(0, len(text) - length) :]


def _substring(text: str, position: int, length: int = MAX_INTEGER) -> str:
    if not -len(text) <= position <= len(text) or length < 0:
        raise _failed(f"SUBSTRING finds no {position}, {length} in that text")
    if position == 0:
        return ""
    start = position - 1 if position > 0 else len(text) + position
    return text[start : start + length]


def _abs(number: int) -> int:
    if number == MIN_INTEGER:
        message = f"ABS({number}) is no Integer of 32 bits"
        raise EvaluationError(ErrorKind.MATH, message, value=MAX_INTEGER)
    return abs(number)


def _is_int(value: Value) -> bool:
    return not isinstance(value, str) or integer_of(value) is not None


def _is_bool(value: Value) -> bool:
    return not isinstance(value, str) or value.lower() in BOOLEANS


def _same(value: Any) -> Any:
    return value


TEXT = (to_string,)
FUNCTIONS: dict[str, tuple[Function, ...]] = {
    "LENGTH": (Function(TEXT, int, lambda text: len(text)),),
    "CONCAT": (Function((), str, _concat, variadic=to_string),),
    "CONCAT_WS": (Function(TEXT, str, _concat_ws, variadic=to_string),),
    "LOWER": (Function(TEXT, str, lambda text: text.lower()),),
    "UPPER": (Function(TEXT, str, lambda text: text.upper()),),
    "TRIM": (Function(TEXT, str, lambda text: text.strip(WHITE_SPACE)),),
    "LEFT": (Function((to_string, to_integer), str, _left),),
    "RIGHT": (Function((to_string, to_integer), str, _right),),
    "SUBSTRING": (
        Function((to_string, to_integer), str, _substring),
        Function((to_string, to_integer, to_integer), str, _substring),
    ),
    "ABS": (Function((to_integer,), int, _abs),),
    "INT": (Function((to_integer,), int, _same),),
    "BOOL": (Function((to_boolean,), bool, _same),),
    "STRING": (Function(TEXT, str, _same),),
    "IS_INT": (Function((any_value,), bool, _is_int),),
    "IS_BOOL": (Function((any_value,), bool, _is_bool),),
}
