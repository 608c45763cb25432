"""What the dispatcher has counted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from router.models import Measure, Rollup, Span


@dataclass(kw_only=True)
class Totals:
    """Everything since the first event."""

    #: By the event's type.
    events: dict[str, int] = field(default_factory=dict)
    #: By the subscriber's primary key; then by the result, or by the bucket's bound.
    attempts: defaultdict[int, dict[str, int]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    times: dict[Measure, defaultdict[int, Times]] = field(
        default_factory=lambda: {
            measure: defaultdict(Times)
            for measure in (Measure.PUBLISH_TO_ACK, Measure.RUN_TIME)
        }
    )


@dataclass(kw_only=True)
class Times:
    """How many fell into each bucket, and the sum of all."""

    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def totals() -> Totals:
    """The totals, in one statement: a row for each type, result and bucket."""
    found = Totals()
    for row in Rollup.objects.filter(span=Span.EVER):
        _add(found, row)
    return found


def _add(found: Totals, row: Rollup) -> None:
    match row.measure:
        case Measure.EVENTS:
            found.events[row.label] = row.count
        case Measure.ATTEMPTS:
            found.attempts[row.subscriber_id][row.label] = row.count
        case Measure.PUBLISH_TO_ACK | Measure.RUN_TIME:
            times = found.times[Measure(row.measure)][row.subscriber_id]
            times.counts[row.label] = row.count
            times.seconds += row.seconds


def cumulated(counts: Mapping[str, int], bounds: tuple[str, ...]) -> list[int]:
    """For each of the bounds, in their order, how many are not above it."""
    total, cumulative = 0, []
    for bound in bounds:
        total += counts.get(bound, 0)
        cumulative.append(total)
    return cumulative
