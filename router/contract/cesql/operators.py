"""The operators of CESQL 1.0 (3.4) over two values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TypeAlias

from router.contract.cesql.errors import ErrorKind, EvaluationError
from router.contract.cesql.values import CASTS, Value, bounded, to_integer

#: Casts its operands. Raises `EvaluationError`.
Operator: TypeAlias = Callable[[Value, Value], Value]


def _equals(left: Value, right: Value) -> bool:
    """The left operand is cast to the type of the right one (3.7)."""
    return bool(CASTS[type(right)](left) == right)


def _compares(compare: Callable[[int, int], bool]) -> Operator:
    return lambda left, right: compare(to_integer(left), to_integer(right))


def _computes(compute: Callable[[int, int], int]) -> Operator:
    return lambda left, right: bounded(compute(to_integer(left), to_integer(right)))


def _divides(compute: Callable[[int, int], int]) -> Operator:
    def divided(left: Value, right: Value) -> int:
        x, y = to_integer(left), to_integer(right)
        if y == 0:
            raise EvaluationError(ErrorKind.MATH, f"{x} is divided by 0")
        return bounded(compute(x, y))

    return divided


def _quotient(x: int, y: int) -> int:
    """Rounded towards 0, where Python rounds down."""
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


def _remainder(x: int, y: int) -> int:
    """With the sign of `x`, where Python has that of `y`."""
    return abs(x) % abs(y) * (-1 if x < 0 else 1)


COMPARISONS: dict[str, Operator] = {
    "=": _equals,
    "!=": lambda left, right: not _equals(left, right),
    "<>": lambda left, right: not _equals(left, right),
    "<": _compares(operator.lt),
    "<=": _compares(operator.le),
    ">": _compares(operator.gt),
    ">=": _compares(operator.ge),
}
ARITHMETIC: dict[str, Operator] = {
    "+": _computes(operator.add),
    "-": _computes(operator.sub),
    "*": _computes(operator.mul),
    "/": _divides(_quotient),
    "%": _divides(_remainder),
}
