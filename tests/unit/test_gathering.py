"""Batches that follow one another closely become fewer and larger."""

from __future__ import annotations

from router.contract.pacing import Gathering

SECONDS = 0.015


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def after(count: int, *, apart: float) -> tuple[Gathering, Clock]:
    """So many batches, so far from one another."""
    clock = Clock()
    gathering = Gathering(SECONDS, clock=clock)
    for _ in range(count):
        clock.now += apart
        gathering.note_batch()
    return gathering, clock


def test_what_comes_alone_waits_for_nothing() -> None:
    assert after(0, apart=1.0)[0].wait_seconds() == 0
    assert after(1, apart=1.0)[0].wait_seconds() == 0
    assert after(100, apart=0.05)[0].wait_seconds() == 0


def test_a_pair_is_no_crowd() -> None:
    assert after(2, apart=0.001)[0].wait_seconds() == 0


def test_a_crowd_is_gathered_while_it_lasts() -> None:
    gathering, clock = after(4, apart=0.001)
    for _ in range(10):
        assert gathering.wait_seconds() == SECONDS
        clock.now += SECONDS + 0.005
        gathering.note_batch()

    clock.now += 1.0
    assert gathering.wait_seconds() == 0
    gathering.note_batch()
    assert gathering.wait_seconds() == 0
