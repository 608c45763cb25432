"""An event in the older version of its schema that a subscriber pins.

`ROUTER["DOWNGRADES"]` names for a version the next older one, and the publisher's
function that makes data of the one into data of the other. Each version has one next
older version: the steps from an event's version to the pinned one are a chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from django.utils.module_loading import import_string

from router.conf import conf
from router.contract.data import is_json
from router.contract.errors import DowngradeFailed, InvalidEvent, named
from router.contract.event import Event
from router.contract.json_text import text_problems
from router.flow.publish import schemas
from router.transports.evidence import evidence_of

ATTRIBUTES = tuple(field.name for field in fields(Event))


@dataclass(frozen=True)
class Step:
    """One call: the dotted name of a function, and the `dataschema` that it ends in."""

    dataschema: str
    function: str


def steps_between(newer: str, older: str) -> Sequence[Step] | None:
    """The calls from one version to another; None where no chain leads there."""
    downgrades = conf().downgrades
    steps: list[Step] = []
    while newer != older:
        # More steps than entries: the chain goes round in a circle.
        if newer not in downgrades or len(steps) > len(downgrades):
            return None
        newer, function = downgrades[newer]
        steps.append(Step(newer, function))
    return steps


def versions_without_steps(pinned: str, versions: Iterable[str]) -> list[str]:
    """Those of these versions from which no chain leads to the pinned one."""
    return [each for each in versions if steps_between(each, pinned) is None]


def as_pinned(event: Event, pins: Mapping[str, str]) -> Event:
    """The event in the version that `pins` has for its type, if it has one.

    An event without a schema stays as it is. Raises `DowngradeFailed` where no chain
    leads to that version, a function fails, or its result does not fit the version.
    """
    pinned = pins.get(event.type)
    current = event.dataschema
    if not (pinned and current and is_json(event.datacontenttype)):
        return event
    steps = steps_between(current, pinned)
    if steps is None:
        raise DowngradeFailed(
            f"The event has {current}, this subscriber pins {pinned}, and "
            "ROUTER['DOWNGRADES'] has no way between them. Add one, and retry."
        )
    return _checked(event, steps) if steps else event


def _checked(event: Event, steps: Sequence[Step]) -> Event:
    data = event.data
    for step in steps:
        data = _called(step, data)
    attributes = {name: getattr(event, name) for name in ATTRIBUTES}
    changed = {"data": data, "dataschema": steps[-1].dataschema}
    older = Event.recorded(attributes | changed)
    try:
        if problems := text_problems(data, "/data"):
            raise InvalidEvent(f"The data is not valid: {named(problems)}.")
        schemas.check_data(older)
    except InvalidEvent as error:
        raise DowngradeFailed(f"{steps[-1].function}: {error}") from None
    return older


def _called(step: Step, data: Any) -> Any:
    try:
        return _function(step.function)(data)
    except Exception as error:
        raised = evidence_of(error).error
        raise DowngradeFailed(f"{step.function} raised {raised}.") from error


_function = cache(import_string)
