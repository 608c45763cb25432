"""Where a foreign router takes events, and where a bridge takes them from it.

One class of each for each kind; none imports the library of the kind, so that it can be
checked where the extra is not installed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_noop
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    field_validator,
)

from router.contract.binding import Mode
from router.contract.event import Event

#: What stands for a part of the event: `{type}`.
PLACE = re.compile(r"\{(\w*)\}")
#: Attributes that a template may name.
IN_TEMPLATES = ("type", "source", "id", "subject", "partitionkey")
Problem = tuple[str, str]


#: Of a field with lines of text, which the admin gives more room.
PEM: dict[str, JsonValue] = {"contentMediaType": "application/x-pem-file"}
MAX_PORT = 65_535
PORT_PROBLEM = f"has a port that can't be: it is from 1 to {MAX_PORT}"


class FieldProblem(ValueError):
    """What is wrong with several fields together, at the field to change."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(problem)
        self.name = name


def check_pair(model: BaseModel, *pair: str) -> bool:
    """Whether both fields are given. Raises `FieldProblem` where only one is."""
    given = [name for name in pair if getattr(model, name)]
    if len(given) == 1:
        [missing] = set(pair) - set(given)
        raise FieldProblem(missing, f"is required beside `{given[0]}`")
    return bool(given)


class Target(BaseModel):
    """The fields that every kind has.

    Each has a `title` and a `description`, of which the admin makes its form. Which are
    secret, their names say: see `is_secret_name`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: Fields that say where the events go. When one of them changes, what is hidden in
    #: the others has to be entered anew: a password must not follow to another address.
    ADDRESS: ClassVar[tuple[str, ...]] = ()

    mode: Mode = Field(
        Mode.BINARY,
        title=gettext_noop("Mode"),
        description=gettext_noop(
            "`binary`: the data is the body, the attributes are headers; "
            "`structured`: the whole event is the body, as JSON."
        ),
    )

    @field_validator("*")
    @classmethod
    def _is_storable(cls, value: Any) -> Any:
        if isinstance(value, str) and "\x00" in value:
            raise ValueError("contains the character U+0000; leave it out")
        return value


class Feed(BaseModel):
    """Where a bridge takes messages from: the fields that every kind has."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: The source of messages that are no CloudEvents.
    source: str = ""
    #: Their type; empty: what the router calls them.
    type: str = ""


def problems_of(model: type[BaseModel], target: object) -> list[Problem]:
    """Pairs of JSON pointer and what is wrong there."""
    try:
        model.model_validate(target)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        return [(_pointer(each), _words(each, model)) for each in errors]
    return []


def is_port(text: str) -> bool:
    return 1 <= int(text) <= MAX_PORT


def template_problem(template: str) -> str | None:
    """Why `filled` can't fill this, or None when it can."""
    unknown = [name for name in PLACE.findall(template) if name not in IN_TEMPLATES]
    known = ", ".join(f"{{{name}}}" for name in IN_TEMPLATES)
    return f"has {{{unknown[0]}}}; it may have: {known}" if unknown else None


def filled(template: str, event: Event) -> str:
    """The template with the event's own attributes in their places."""
    return PLACE.sub(lambda place: str(getattr(event, place[1])), template)


def _pointer(error: Mapping[str, Any]) -> str:
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, FieldProblem):
        return f"/{cause.name}"
    return "".join(f"/{step}" for step in error["loc"])


def _words(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return f"is unknown; there are: {', '.join(model.model_fields)}"
        case "dict_type":
            return "must be a JSON object"
        case "value_error":
            return str(error["ctx"]["error"])
    words: str = error["msg"]
    return words.replace("Input should be", "must be").replace("Input", "it")
