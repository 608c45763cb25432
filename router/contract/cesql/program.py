"""CloudEvents SQL expressions: CESQL 1.0, whole.

An expression is parsed and compiled once. It has a value for every event: after an
error, in the specification's fail fast mode (4.1), the zero value of its type.
"""

from __future__ import annotations

from dataclasses import dataclass

from router.contract.cesql.errors import EvaluationError, ParseError
from router.contract.cesql.grammar import parse
from router.contract.cesql.values import ZEROS, Attributes, Value


@dataclass(frozen=True)
class Result:
    """The value of an expression for one event, and the error that ended it."""

    value: Value
    error: EvaluationError | None = None


class Program:
    """A compiled expression. Raises `ParseError` for a text that is none."""

    def __init__(self, text: str) -> None:
        self._node = parse(text)
        self._run = self._node.run

    def evaluate(self, attributes: Attributes) -> Result:
        try:
            return Result(self._run(attributes))
        except EvaluationError as error:
            return Result(self._value_after(error), error)

    def passes(self, attributes: Attributes) -> bool:
        """Whether it is true; an error is not true (1.2)."""
        try:
            return self._run(attributes) is True
        except EvaluationError:
            return False

    def problems(self) -> list[str]:
        """Why it is no filter: an unknown function, or a value of another type."""
        kind = self._node.kind
        if kind in (bool, None):
            return list(self._node.problems)
        name = "an Integer" if kind is int else "a String"
        problem = f"it is {name}, and a filter is true or false: compare it"
        return [*self._node.problems, problem]

    def _value_after(self, error: EvaluationError) -> Value:
        if error.origin is self._run and error.value is not None:
            return error.value
        return ZEROS[self._node.kind or bool]


def sql_problems(text: str) -> list[str]:
    """What is wrong with this text as a filter; empty for a filter."""
    try:
        return Program(text).problems()
    except ParseError as error:
        return [str(error)]
