"""When the dispatcher looks again at what is due."""

from __future__ import annotations

import pytest

from router.contract.pacing import Every, Slowing

PAUSE = 10.0
#: The pause is jittered by a fifth.
LONGEST, SHORTEST = PAUSE * 1.2, PAUSE * 0.8


class Clock:
    """A clock that goes only when a test lets time pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_it_is_time_at_once_and_then_after_each_pause(
    clock: Clock,
) -> None:
    look = Every(PAUSE, clock=clock)

    assert look.is_due()
    assert not look.is_due()
    clock.advance(SHORTEST - 1)
    assert not look.is_due()
    clock.advance(LONGEST)
    assert look.is_due()


def test_it_waits_anew_when_it_is_put_off(clock: Clock) -> None:
    look = Every(PAUSE, clock=clock)
    assert look.is_due()
    clock.advance(SHORTEST - 1)

    look.postpone()

    clock.advance(SHORTEST - 1)
    assert not look.is_due()
    clock.advance(LONGEST)
    assert look.is_due()


def test_it_is_put_off_only_once(clock: Clock) -> None:
    """Events that never stop would keep what is due from ever being looked for."""
    look = Every(PAUSE, clock=clock)
    look.postpone()
    clock.advance(LONGEST)

    look.postpone()

    assert look.is_due()
    look.postpone()
    assert not look.is_due()


def test_a_pause_that_gets_shorter_counts_from_the_last_look(clock: Clock) -> None:
    look = Every(PAUSE, clock=clock)
    assert look.is_due()
    clock.advance(2.0)
    assert not look.is_due()
    assert look.is_due(1.0)


def test_looks_are_rarer_the_longer_nothing_comes() -> None:
    slowing = Slowing(share=0.1, least=1.0, most=20.0)
    since = (0.0, 10.0, 50.0, 200.0, float("inf"))
    assert [slowing.seconds(each) for each in since] == [1.0, 1.0, 5.0, 20.0, 20.0]
