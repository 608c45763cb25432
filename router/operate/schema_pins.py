"""The versions of schemas that a subscriber pins, checked when they are saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from router.contract.filters import matches_any
from router.flow.publish.downgrades import versions_without_steps
from router.flow.publish.schemas import in_force

MAX_PINS = 100
HOW = "add one to ROUTER['DOWNGRADES'] and restart, or retire the version that lacks it"
Problem = tuple[str, str]


def pin_problems(pins: Mapping[str, str], patterns: Sequence[str]) -> list[Problem]:
    """Pairs of JSON pointer and what is wrong there; `patterns` are the subscriber's
    event types."""
    if len(pins) > MAX_PINS:
        return [("/dataschemas", f"must name at most {MAX_PINS} event types")]
    return [
        (_pointer(event_type), problem)
        for event_type, dataschema in pins.items()
        for problem in _problems(event_type, dataschema, patterns)
    ]


def _problems(
    event_type: str, dataschema: str, patterns: Sequence[str]
) -> Iterator[str]:
    if not matches_any(patterns, event_type):
        # Nothing of its schemas: they may be another partner's.
        yield "is not among the event types of this subscriber"
        return
    known = in_force(event_type)
    if dataschema not in known:
        listed = f"; in force: {', '.join(known)}" if known else ""
        yield f"{dataschema} is no schema of this type that is in force{listed}"
        return
    for version in versions_without_steps(dataschema, known):
        yield f"no downgrade leads from {version} to {dataschema}: {HOW}"


def _pointer(event_type: str) -> str:
    return f"/dataschemas/{event_type.replace('~', '~0').replace('/', '~1')}"
