"""The Event: an immutable fact in the terms of CloudEvents 1.0."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from router.contract.errors import InvalidEvent

TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
EXTENSION_NAME = re.compile(r"[a-z0-9]{1,20}")
# W3C Trace Context, section 3.2.
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Half a surrogate pair is no character, and no database keeps it.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
HALF_PAIR = re.compile(
    r"\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}"
)
#: Far below where Python's JSON gives up, which a worker would do at every claim.
DEEPEST_DATA = 100
ATTRIBUTES = frozenset(
    {
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "data",
        "partitionkey",
        "traceparent",
    }
)
LONGEST = {"id": 255, "source": 255, "type": 255, "subject": 255, "partitionkey": 255,
           "dataschema": 500, "traceparent": 55}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact that was published, as subscribers see it.

    `id` is unique within `source`; `type` is a noun and a past participle joined by
    dots; `time` is aware; `data` is JSON. Raises `InvalidEvent` naming each attribute
    that breaks CloudEvents 1.0 (sections 2.1 and 3.1) or the limits of the log.
    """

    id: str
    source: str
    type: str
    data: Any
    time: datetime
    subject: str = ""
    dataschema: str = ""
    partitionkey: str = ""
    traceparent: str = ""
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [
            *_attribute_problems(self),
            *_extension_problems(self.extensions),
            *text_problems(self.data, "/data"),
        ]
        if problems:
            told = "; ".join(f"{pointer} {detail}" for pointer, detail in problems)
            raise InvalidEvent(f"The event is not valid: {told}.", problems=problems)

    @classmethod
    def recorded(cls, **attributes: Any) -> Self:
        """An event of the log, every attribute named.

        It was valid when it was recorded: a worker need not look again.
        """
        event = object.__new__(cls)
        event.__dict__.update(attributes)
        return event

    def to_cloudevent(self) -> dict[str, Any]:
        """The event in CloudEvents' JSON format, structured mode."""
        optional = {
            "subject": self.subject,
            "dataschema": self.dataschema,
            "partitionkey": self.partitionkey,
            "traceparent": self.traceparent,
        }
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "time": self.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "datacontenttype": "application/json",
            **{name: value for name, value in optional.items() if value},
            **self.extensions,
            "data": self.data,
        }

    def with_data(self, data: Any) -> Self:
        """The same envelope around other data."""
        return type(self)(**{**self.__dict__, "data": data})


def canonical(value: Any) -> str:
    """One text for equal JSON values: sorted keys, no spaces.

    Raises `InvalidEvent` for what JSON can't say: NaN, infinity, other objects.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        told = f"is not JSON: {error}"
        raise InvalidEvent(
            f"The event's data {told}.", problems=[("/data", told)]
        ) from None


def text_problems(value: Any, pointer: str) -> list[tuple[str, str]]:
    """What of a JSON value no database keeps, or some reader can't follow.

    Raises `InvalidEvent` for what JSON can't say.
    """
    text = canonical(value)
    escapes = text.replace("\\\\", " ")
    problems = []
    if "\\u0000" in escapes:
        problems.append((pointer, "contains the character U+0000; leave it out"))
    if HALF_PAIR.search(escapes):
        problems.append((pointer, "contains half of a surrogate pair; leave it out"))
    # No deeper than it has brackets: the look is taken at odd data only.
    if text.count("[") + text.count("{") > DEEPEST_DATA and _is_too_deep(value):
        problems.append((pointer, f"is nested deeper than {DEEPEST_DATA} levels"))
    return problems


def _attribute_problems(event: Event) -> list[tuple[str, str]]:
    problems: list[tuple[str, str]] = []
    for name, longest in LONGEST.items():
        value = getattr(event, name)
        if not isinstance(value, str):
            problems.append((f"/{name}", "must be text"))
        elif len(value) > longest:
            problems.append((f"/{name}", f"is longer than {longest} characters"))
        elif CONTROL.search(value):
            problems.append((f"/{name}", "contains a control character"))
        elif not value and name in ("id", "source", "type"):
            problems.append((f"/{name}", "must not be empty"))
    if isinstance(event.type, str) and event.type and not TYPE.fullmatch(event.type):
        problems.append(
            ("/type", "must be lower-case words joined by dots: `purchase.completed`")
        )
    traceparent = event.traceparent
    is_text = isinstance(traceparent, str)
    if is_text and traceparent and not TRACEPARENT.fullmatch(traceparent):
        problems.append(("/traceparent", "is not a W3C traceparent"))
    if not isinstance(event.time, datetime) or event.time.tzinfo is None:
        problems.append(("/time", "must be a time with its zone (RFC 3339)"))
    return problems


def _extension_problems(extensions: Mapping[str, Any]) -> list[tuple[str, str]]:
    problems = []
    for name, value in extensions.items():
        if not EXTENSION_NAME.fullmatch(name) or name in ATTRIBUTES:
            problems.append((f"/{name}", "is not a name for an extension attribute"))
        elif not isinstance(value, str | int | bool):
            problems.append((f"/{name}", "must be text, a whole number or a boolean"))
    return problems


def _is_too_deep(data: Any) -> bool:
    level = [data]
    for _ in range(DEEPEST_DATA):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list | tuple)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(inner, dict | list | tuple) for inner in level)
