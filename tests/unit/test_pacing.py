"""When the dispatcher looks again at what is due."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from router.contract.pacing import Every
from router.flow import loop

PAUSE = 10.0
#: The pause is jittered by a fifth.
LONGEST, SHORTEST = PAUSE * 1.2, PAUSE * 0.8


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])

    def let_pass(seconds: float) -> None:
        now[0] += seconds

    return let_pass


def test_it_is_time_at_once_and_then_after_each_pause(
    advance: Callable[[float], None],
) -> None:
    look = Every(PAUSE)

    assert look.is_due()
    assert not look.is_due()
    advance(SHORTEST - 1)
    assert not look.is_due()
    advance(LONGEST)
    assert look.is_due()


def test_it_waits_anew_when_it_is_put_off(advance: Callable[[float], None]) -> None:
    look = Every(PAUSE)
    assert look.is_due()
    advance(SHORTEST - 1)

    look.postpone()

    advance(SHORTEST - 1)
    assert not look.is_due()
    advance(LONGEST)
    assert look.is_due()


def test_it_is_put_off_only_once(advance: Callable[[float], None]) -> None:
    """Events that never stop would keep what is due from ever being looked for."""
    look = Every(PAUSE)
    look.postpone()
    advance(LONGEST)

    look.postpone()

    assert look.is_due()
    look.postpone()
    assert not look.is_due()
