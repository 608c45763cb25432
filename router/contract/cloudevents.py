"""An event in the JSON format of CloudEvents 1.0 becomes `publish()`'s arguments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloudevents.core.v1.event import REQUIRED_ATTRIBUTES

from router.contract.attributes import REQUIRED
from router.contract.data import read_base64, type_problem
from router.contract.errors import InvalidEvent, named

OWN_ARGUMENTS = (
    "subject",
    "dataschema",
    "partitionkey",
    "traceparent",
    "datacontenttype",
    "time",
)
NOT_EXTENSIONS = {*REQUIRED_ATTRIBUTES, *OWN_ARGUMENTS}


def publish_arguments(body: Any) -> dict[str, Any]:
    """The arguments of `publish` for an event in the JSON format of CloudEvents.

    Raises `InvalidEvent` naming each attribute that breaks the specification; the
    rules of the log beyond it are `publish`'s own.
    """
    if not isinstance(body, dict):
        raise InvalidEvent(
            "The body must be one event: a JSON object.",
            problems=[("", "must be an object")],
        )
    # An attribute that is null is one that is left out (JSON format, section 2.2).
    attributes = {
        name: _whole(value) for name, value in body.items() if value is not None
    }
    attributes.pop("data", None)
    encoded = attributes.pop("data_base64", None)
    problems = _problems(attributes)
    if problems:
        raise InvalidEvent(
            f"This is not an event: {named(problems)}.", problems=problems
        )
    extensions = {
        name: value for name, value in attributes.items() if name not in NOT_EXTENSIONS
    }
    return {
        **{name: attributes[name] for name in ("type", "source", "id")},
        **{name: attributes.get(name, "") for name in OWN_ARGUMENTS},
        "extensions": extensions,
        **_data(body, encoded),
    }


def _whole(value: Any) -> Any:
    """`7.0` as the integer 7: JSON Schema, and so the API's description, has it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _data(body: dict[str, Any], encoded: object) -> dict[str, Any]:
    """The data, where there is any: null is data, a member left out is none."""
    if encoded is None:
        return {"data": body["data"]} if "data" in body else {}
    if body.get("data") is not None:
        detail = "must not stand beside `data`: an event has one of them"
        raise InvalidEvent(
            f"data_base64 {detail}.", problems=[("/data_base64", detail)]
        )
    return {"data": read_base64(encoded)}


def _problems(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    """What the JSON format says beyond the rules of `Event`."""
    missing = [
        (f"/{name}", "is required")
        for name in REQUIRED_ATTRIBUTES
        if name not in attributes
    ]
    return missing or list(_envelope_problems(attributes))


def _envelope_problems(attributes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if attributes["specversion"] != "1.0":
        yield "/specversion", 'must be "1.0"'
    # Bindings of API keys are patterns of text.
    for name in REQUIRED:
        if not isinstance(attributes[name], str):
            yield f"/{name}", "must be text"
        elif not attributes[name]:
            yield f"/{name}", "must not be empty"
    for name in OWN_ARGUMENTS:
        # Whatever is empty would be taken for what was left out.
        if name in attributes and not attributes[name]:
            yield f"/{name}", "must be text, and not empty; leave it out"
    kind = attributes.get("datacontenttype")
    if kind and (problem := type_problem(kind)):
        yield "/datacontenttype", problem
