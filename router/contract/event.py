"""The Event: an immutable fact in the terms of CloudEvents 1.0."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from router.contract import data as event_data
from router.contract.attributes import attribute_problems
from router.contract.data import JSON_TYPE
from router.contract.errors import InvalidEvent, named
from router.contract.json_text import text_problems
from router.contract.times import format_time


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact that was published, as subscribers see it.

    `id` is unique within `source`; `type` is best a noun and a past participle joined
    by dots; `time` is aware, and `time_text` is not empty where a `datetime` can't say
    it: nanoseconds, a leap second. `data` is what `datacontenttype` says: a JSON value,
    text (`str`) or `bytes`; None without `has_data`, as for null. Raises `InvalidEvent`
    naming each attribute that breaks CloudEvents 1.0.2 or the limits of the log.
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
    time_text: str = ""

    def __post_init__(self) -> None:
        problems = [
            *attribute_problems(self),
            *_data_problems(self),
        ]
        if problems:
            raise InvalidEvent(
                f"The event is not valid: {named(problems)}.", problems=problems
            )

    @classmethod
    def checked(cls, attributes: Mapping[str, Any]) -> Self:
        """The event of a publisher, every attribute named; raises as a call does.

        A call of a frozen class sets the attributes one by one, which takes longer.
        """
        event = cls.recorded(attributes)
        event.__post_init__()
        return event

    @classmethod
    def recorded(cls, attributes: Mapping[str, Any]) -> Self:
        """An event of the log, every attribute named.

        It was valid when it was recorded: a worker need not look again.
        """
        event = object.__new__(cls)
        event.__dict__.update(attributes)
        return event

    @classmethod
    def read_by(cls, read: Callable[[str], Any]) -> Self:
        """An event of the log, whose attributes are read when they are asked for.

        Most handlers look at few of them, and reading costs more than the rest of it.
        """
        event = object.__new__(cls)
        event.__dict__[READ] = read
        return event

    def context(self) -> dict[str, str | int | bool]:
        """The context attributes that filters look at; it needs no data."""
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
            "time": format_time(self.time, self.time_text),
            "datacontenttype": self.datacontenttype,
            **{name: value for name, value in optional.items() if value},
            **self.extensions,
        }

    def to_cloudevent(self) -> dict[str, Any]:
        """The event in CloudEvents' JSON format, structured mode."""
        members = event_data.members(self.data, has_data=self.has_data)
        return {**self.context(), **members}


#: Where an event has what reads its attributes.
READ = "_read"


class _Attribute:
    """An attribute of an event that has none of that name yet."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, event: Event | None, owner: type[Event]) -> Any:
        if event is None or READ not in event.__dict__:
            raise AttributeError(self._name)
        value = event.__dict__[READ](self._name)
        event.__dict__[self._name] = value
        return value


for _field in fields(Event):
    # In the place of a default, which the dataclass has by now.
    setattr(Event, _field.name, _Attribute(_field.name))


def _data_problems(event: Event) -> list[tuple[str, str]]:
    problem = event_data.type_problem(event.datacontenttype)
    problems = [("/datacontenttype", problem)] if problem else []
    if not isinstance(event.data, bytes):
        problems += text_problems(event.data, "/data")
    elif not problem and event_data.is_json(event.datacontenttype):
        problems.append(("/data", "must be a JSON value, since its type is JSON"))
    return problems
