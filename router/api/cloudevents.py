"""An event in the JSON format of CloudEvents 1.0 becomes `publish()`'s arguments."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from cloudevents.core.exceptions import (
    CloudEventValidationError,
    InvalidAttributeTypeError,
)
from cloudevents.core.v1.event import REQUIRED_ATTRIBUTES, CloudEvent
from django.utils.dateparse import parse_datetime

from router.conf import conf
from router.contract.data import read_base64, type_problem
from router.contract.errors import InvalidEvent

OWN_ARGUMENTS = (
    "subject",
    "dataschema",
    "partitionkey",
    "traceparent",
    "datacontenttype",
)
NOT_EXTENSIONS = {*REQUIRED_ATTRIBUTES, *OWN_ARGUMENTS, "time"}


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
    attributes = {name: value for name, value in body.items() if value is not None}
    attributes.pop("data", None)
    encoded = attributes.pop("data_base64", None)
    problems = _problems(attributes)
    if problems:
        told = "; ".join(f"{pointer} {detail}" for pointer, detail in problems)
        raise InvalidEvent(f"This is not an event: {told}.", problems=problems)
    extensions = {name: attributes[name] for name in {*attributes} - NOT_EXTENSIONS}
    return {
        **{name: attributes[name] for name in ("type", "source", "id")},
        **{name: attributes.get(name, "") for name in OWN_ARGUMENTS},
        "time": attributes.get("time"),
        "extensions": extensions,
        **_data(body, encoded),
    }


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
    """What is wrong with the envelope; `time` is made a datetime on the way."""
    missing = [
        (f"/{name}", "is required")
        for name in REQUIRED_ATTRIBUTES
        if name not in attributes
    ]
    return missing or [
        *_data_problems(attributes),
        *_time_problems(attributes),
        *_envelope_problems(attributes),
    ]


def _data_problems(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    problems = [
        (f"/{name}", "must be text, and not empty; leave it out")
        for name in OWN_ARGUMENTS
        # Whatever is empty would be taken for what was left out.
        if name in attributes and not attributes[name]
    ]
    kind = attributes.get("datacontenttype")
    if kind and (problem := type_problem(kind)):
        problems.append(("/datacontenttype", problem))
    if attributes["source"] == conf().own_source:
        problems.append(("/source", "is the router's own; choose another"))
    return problems


def _time_problems(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    if "time" not in attributes:
        return []
    time = _parsed_time(attributes.pop("time"))
    if time is None:
        return [("/time", "must be a time with its zone (RFC 3339)")]
    attributes["time"] = time
    return []


def _parsed_time(text: object) -> datetime | None:
    try:
        time = parse_datetime(text) if isinstance(text, str) else None
        return time.astimezone(UTC) if time and time.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _envelope_problems(attributes: dict[str, Any]) -> list[tuple[str, str]]:
    try:
        CloudEvent(dict(attributes))
    except CloudEventValidationError as error:
        return [(f"/{name}", _told(found)) for name, found in error.errors.items()]
    return []


def _told(errors: list[Any]) -> str:
    if any(isinstance(error, InvalidAttributeTypeError) for error in errors):
        return "must be text"
    return re.sub(r"^(Extension a|A)ttribute '\w*' ", "", str(errors[0]))
