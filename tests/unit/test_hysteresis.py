"""When an alert opens and closes: the whole rule, and no flapping of any value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from router.contract.hysteresis import Hysteresis, Reading, Step, Watched

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULE = Hysteresis(opens_after=90, closes_after=270)
PENDING = Watched(since=NOW - MINUTE)
LONG = Watched(since=NOW - 2 * MINUTE)
OPEN = Watched(since=NOW - 9 * MINUTE, opened_at=NOW - 7 * MINUTE)
CALM = replace(OPEN, calm_since=NOW - 4 * MINUTE)
LONG_CALM = replace(OPEN, calm_since=NOW - 5 * MINUTE)


@pytest.mark.parametrize(
    ("watched", "value", "step"),
    [
        (None, 9, Step.NOTHING),
        (None, 10, Step.WATCH),
        # Not for long enough.
        (PENDING, 10, Step.NOTHING),
        (LONG, 10, Step.OPEN),
        (LONG, 9, Step.FORGET),
        (OPEN, 12, Step.NOTHING),
        # Below the limit, and not well below it.
        (OPEN, 6, Step.NOTHING),
        (OPEN, 5, Step.CALM),
        (CALM, 5, Step.NOTHING),
        (CALM, 6, Step.STIR),
        (LONG_CALM, 5, Step.CLOSE),
        (LONG_CALM, 6, Step.STIR),
    ],
)
def test_each_step(watched: Watched | None, value: float, step: Step) -> None:
    assert RULE.step(watched, Reading(value=value, limit=10), NOW) is step


@pytest.mark.parametrize(
    ("watched", "step"),
    [
        (None, Step.NOTHING),
        (LONG, Step.FORGET),
        (OPEN, Step.CALM),
        (LONG_CALM, Step.CLOSE),
    ],
)
def test_a_rule_that_is_off_opens_nothing_and_closes_what_is_open(
    watched: Watched | None, step: Step
) -> None:
    assert RULE.step(watched, Reading(value=99, limit=0), NOW) is step


def test_a_limit_of_one_is_calm_at_none() -> None:
    assert Reading(value=1, limit=1).is_over
    assert Reading(value=0, limit=1).is_calm
    assert not Reading(value=1, limit=1).is_calm


@given(some.lists(some.floats(0, 20), max_size=60))
def test_no_row_of_values_makes_alerts_that_flap(values: list[float]) -> None:
    watched: Watched | None = None
    opened, closed = [], []
    for minute, value in enumerate(values):
        now = NOW + minute * MINUTE
        step = RULE.step(watched, Reading(value=value, limit=10), now)
        match step:
            case Step.WATCH:
                watched = Watched(since=now)
            case Step.FORGET:
                watched = None
            case Step.OPEN if watched:
                watched = replace(watched, opened_at=now)
                opened.append(minute)
                assert min(values[minute - 2 : minute + 1]) >= 10
            case Step.CALM if watched:
                watched = replace(watched, calm_since=now)
            case Step.STIR if watched:
                watched = replace(watched, calm_since=None)
            case Step.CLOSE:
                watched = None
                closed.append(minute)
                assert max(values[minute - 5 : minute + 1]) <= 5
    assert len(opened) - len(closed) in (0, 1)
    assert all(end - begin >= 5 for begin, end in zip(opened, closed, strict=False))
    assert all(begin - end >= 2 for begin, end in zip(opened[1:], closed, strict=False))
