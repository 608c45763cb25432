"""Reading an event's data: tolerant of what is new, strict about what is needed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from router.public import Event, Reject


class Part(BaseModel):
    """A part of an event's data; what a subscriber does not name, it does not see."""

    model_config = ConfigDict(frozen=True)


def _whole(value: Any) -> Any:
    """`2.0` is an integer to JSON Schema, and a float to Python."""
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


def _in_utc(value: Any, read: ValidatorFunctionWrapHandler) -> datetime:
    """RFC 3339 has a second 60, Python has not: it is the first of the next minute.

    PostgreSQL refuses offsets beyond 16 hours, so the moment is kept in UTC.
    """
    is_leap = isinstance(value, str) and value[17:19] == "60"
    moment: datetime = read(f"{value[:17]}59{value[19:]}" if is_leap else value)
    try:
        return moment.astimezone(UTC) + timedelta(seconds=is_leap)
    except OverflowError:
        raise ValueError("is outside the years 1 to 9999") from None


Kind = TypeVar("Kind", bound=Part)

#: What people call an order; empty in events of publishers that give none.
OrderNumber = Annotated[str, Field(strict=True, max_length=32)]
Identifier = Annotated[str, Field(strict=True, min_length=1, max_length=255)]
Sku = Annotated[str, Field(strict=True, min_length=1, max_length=100)]
Currency = Annotated[str, Field(strict=True, pattern=r"^[A-Z]{3}$")]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Whole, Field(strict=True, ge=0, le=2**31 - 1)]
Quantity = Annotated[Whole, Field(strict=True, ge=1, le=2**31 - 1)]
#: Whole minor units: cents of a euro, yen of a yen.
Minor = Annotated[Whole, Field(strict=True, ge=0, le=2**53)]
Moment = Annotated[AwareDatetime, WrapValidator(_in_utc)]


def read(kind: type[Kind], event: Event) -> Kind:
    """The event's data as `kind`.

    Raises `Reject` naming each JSON path that is wrong; trying again would not help.
    The values stay out of the words: they may be a customer's.
    """
    try:
        return kind.model_validate(event.data)
    except ValidationError as error:
        wrong = "; ".join(
            f"/{'/'.join(str(step) for step in problem['loc'])} {problem['msg']}"
            for problem in error.errors(
                include_input=False, include_context=False, include_url=False
            )
        )
        raise Reject(f"The data of {event.type} can't be read: {wrong}.") from None
