"""The event types that there are, each with its schema."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from router.contract.filters import matches_any
from router.flow.publish.schemas import described_types, newest_schema
from router.observe.log_values import values_of_log


@dataclass(frozen=True, kw_only=True)
class EventType:
    """An event type, with its newest schema in force; both empty without one."""

    name: str
    dataschema: str
    schema: Mapping[str, Any]


def known_types(patterns: Collection[str]) -> list[str]:
    """The types within these patterns that have a schema, or an event in the log."""
    types = {*described_types(), *(values_of_log("type") or ())}
    return sorted(each for each in types if matches_any(patterns, each))


def event_types(patterns: Collection[str]) -> list[EventType]:
    """The same, with their schemas."""
    return [_described(name) for name in known_types(patterns)]


def _described(name: str) -> EventType:
    identity, schema = newest_schema(name) or ("", {})
    return EventType(name=name, dataschema=identity, schema=schema)
