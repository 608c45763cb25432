"""The alarm that is set once for many runs."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from router.transports.time_limit import (
    SET_FOR_SECONDS,
    TimeLimit,
    TimeLimitExceeded,
    alarm_taken,
)

LIMIT_SECONDS = 0.5
LIMIT = TimeLimit(LIMIT_SECONDS)


@pytest.fixture(autouse=True)
def _alarm() -> Iterator[None]:
    with alarm_taken():
        yield


def run_for(seconds: float) -> float:
    """How long it ran until its limit, or the seconds if it may."""
    began_at = time.monotonic()
    try:
        with LIMIT:
            while time.monotonic() - began_at < seconds:
                pass
    except TimeLimitExceeded:
        return time.monotonic() - began_at
    return seconds


def test_each_run_has_its_own_limit_whenever_the_alarm_was_set() -> None:
    assert [run_for(0.3) for _ in range(2)] == [0.3] * 2
    assert run_for(0.0) == 0.0
    assert LIMIT_SECONDS <= run_for(5.0) < 3
    assert LIMIT_SECONDS <= run_for(5.0) < 3


def test_no_alarm_rings_outside_a_run() -> None:
    run_for(0.0)
    began_at = time.monotonic()
    while time.monotonic() - began_at < 1.2 * LIMIT_SECONDS:
        pass
    assert LIMIT_SECONDS <= run_for(5.0) < 3


def test_what_takes_the_alarm_away_does_so_for_a_short_while() -> None:
    run_for(0.0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    run_for(2 * SET_FOR_SECONDS)
    assert LIMIT_SECONDS <= run_for(5.0) < 3
