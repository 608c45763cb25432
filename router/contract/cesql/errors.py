"""What can be wrong with an expression, or with evaluating it (CESQL 1.0, 3.3)."""

from __future__ import annotations

from enum import StrEnum


class ErrorKind(StrEnum):
    MATH = "math"
    CAST = "cast"
    MISSING_ATTRIBUTE = "missingAttribute"
    MISSING_FUNCTION = "missingFunction"
    FUNCTION_EVALUATION = "functionEvaluation"
    GENERIC = "generic"


class ParseError(ValueError):
    """The text is no expression; `position` counts its characters from 1."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"at character {position}: {message}")
        self.position = position


class EvaluationError(Exception):
    """Evaluating went wrong for this event; the first error ends it.

    `value` is the result of the function that raised it, where it has another one than
    the zero value of its type.
    """

    def __init__(
        self, kind: ErrorKind, message: str, *, value: str | int | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.value = value
        #: The function call that raised it.
        self.origin: object = None
