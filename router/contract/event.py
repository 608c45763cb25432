"""The Event: an immutable fact in the terms of CloudEvents 1.0."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from router.contract import data as event_data
from router.contract.data import JSON_TYPE
from router.contract.errors import InvalidEvent
from router.contract.json_text import text_problems

TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
EXTENSION_NAME = re.compile(r"[a-z0-9]{1,20}")
# W3C Trace Context, section 3.2.
TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
# Half a surrogate pair is no character, and no database keeps it.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
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
        "data_base64",
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
    dots; `time` is aware. `data` is what `datacontenttype` says: a JSON value, text
    (`str`) or `bytes`; None without `has_data`, as for null. Raises `InvalidEvent`
    naming each attribute that breaks CloudEvents 1.0 (sections 2.1 and 3.1) or the
    limits of the log.
    """

    id: str
    source: str
    type: str
    data: Any = None
    time: datetime
    datacontenttype: str = JSON_TYPE
    has_data: bool = True
    subject: str = ""
    dataschema: str = ""
    partitionkey: str = ""
    traceparent: str = ""
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = [
            *_attribute_problems(self),
            *_extension_problems(self.extensions),
            *_data_problems(self),
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
            "datacontenttype": self.datacontenttype,
            **{name: value for name, value in optional.items() if value},
            **self.extensions,
            **event_data.members(self.data, has_data=self.has_data),
        }

    def with_data(self, data: Any) -> Self:
        """The same envelope around other data."""
        return type(self)(**{**self.__dict__, "data": data, "has_data": True})


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


def _data_problems(event: Event) -> list[tuple[str, str]]:
    problem = event_data.type_problem(event.datacontenttype)
    problems = [("/datacontenttype", problem)] if problem else []
    if not isinstance(event.data, bytes):
        problems += text_problems(event.data, "/data")
    elif not problem and event_data.is_json(event.datacontenttype):
        problems.append(("/data", "must be a JSON value, since its type is JSON"))
    return problems
