"""The event as a program outside sees it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

OPTIONAL = ("subject", "dataschema", "partitionkey", "traceparent")
JSON_TYPE = "application/json"
KNOWN = {
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "datacontenttype",
    "data",
    "data_base64",
}


@dataclass(frozen=True, kw_only=True)
class Event:
    """An immutable fact in the terms of CloudEvents 1.0.

    `id` is unique within `source`, and the same however often the event is delivered:
    remember the two to do nothing twice. `time` is aware. `data` is what
    `datacontenttype` says: a JSON value, text (`str`) or `bytes`; None without
    `has_data`, as for null.
    """

    id: str
    source: str
    type: str
    data: Any
    time: datetime
    datacontenttype: str = JSON_TYPE
    has_data: bool = True
    subject: str = ""
    dataschema: str = ""
    partitionkey: str = ""
    traceparent: str = ""
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)

    @classmethod
    def from_cloudevent(cls, cloudevent: Mapping[str, Any]) -> Self:
        """Read CloudEvents' JSON format, structured mode."""
        own = KNOWN.union(OPTIONAL)
        return cls(
            id=cloudevent["id"],
            source=cloudevent["source"],
            type=cloudevent["type"],
            data=_data(cloudevent),
            has_data="data" in cloudevent or "data_base64" in cloudevent,
            datacontenttype=cloudevent.get("datacontenttype", JSON_TYPE),
            time=_time(cloudevent["time"]),
            extensions={
                name: cloudevent[name] for name in cloudevent if name not in own
            },
            **{name: cloudevent[name] for name in OPTIONAL if name in cloudevent},
        )


def data_members(data: Any) -> dict[str, Any]:
    """How CloudEvents' JSON format has this data."""
    if isinstance(data, bytes):
        return {"data_base64": base64.b64encode(data).decode()}
    return {"data": data}


def _data(cloudevent: Mapping[str, Any]) -> Any:
    encoded = cloudevent.get("data_base64")
    return cloudevent.get("data") if encoded is None else base64.b64decode(encoded)


def _time(text: str) -> datetime:
    """The moment, to the microsecond; a leap second is the second before it."""
    return datetime.fromisoformat(f"{text[:16]}{text[16:].replace(':60', ':59', 1)}")
