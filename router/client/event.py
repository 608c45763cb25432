"""The event as a program outside sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

OPTIONAL = ("subject", "dataschema", "partitionkey", "traceparent")
KNOWN = {"specversion", "id", "source", "type", "time", "datacontenttype", "data"}


@dataclass(frozen=True, kw_only=True)
class Event:
    """An immutable fact in the terms of CloudEvents 1.0.

    `id` is unique within `source`, and the same however often the event is delivered:
    remember the two to do nothing twice. `time` is aware; `data` is JSON.
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

    @classmethod
    def from_cloudevent(cls, said: Mapping[str, Any]) -> Self:
        """Read CloudEvents' JSON format, structured mode."""
        own = KNOWN.union(OPTIONAL)
        return cls(
            id=said["id"],
            source=said["source"],
            type=said["type"],
            data=said.get("data"),
            time=datetime.fromisoformat(said["time"]),
            extensions={name: said[name] for name in said if name not in own},
            **{name: said[name] for name in OPTIONAL if name in said},
        )
