"""Reading an event's data: tolerant of what is new, strict about what is needed."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from router.public import Event, Reject


class Part(BaseModel):
    """A part of an event's data; what a subscriber does not name, it does not see."""

    model_config = ConfigDict(frozen=True)


Kind = TypeVar("Kind", bound=Part)

Identifier = Annotated[str, Field(strict=True, min_length=1, max_length=255)]
Sku = Annotated[str, Field(strict=True, min_length=1, max_length=100)]
Currency = Annotated[str, Field(strict=True, pattern=r"^[A-Z]{3}$")]
Quantity = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)]
#: Whole minor units: cents of a euro, yen of a yen.
Minor = Annotated[int, Field(strict=True, ge=0, le=2**53)]


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
