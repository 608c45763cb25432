from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from router import display
from router.observe.wording import relative


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (0.2, "just now"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3_700, "1 h ago"),
        (200_000, "2 d ago"),
        (-12, "in 12 s"),
    ],
)
def test_a_moment_is_shown_relative_to_now(seconds: float, message: str) -> None:
    assert relative(seconds) == message


@pytest.mark.parametrize(
    ("seconds", "message"), [(-5, "now"), (0, "now"), (12.5, "12 s")]
)
def test_what_comes_next_is_never_shown_as_past(seconds: float, message: str) -> None:
    moment = timezone.now() + timedelta(seconds=seconds)
    assert f">{message}<" in display.due(moment).replace("in ", "")


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (None, "–"),
        (0.84, "0.8 s"),
        (5, "5 s"),
        (250, "4 min 10 s"),
        (3_600, "1 h"),
        (86_400 + 59, "1 d"),  # no hours between: minutes would mislead
    ],
)
def test_a_wait_is_shown_in_its_largest_units(
    seconds: float | None, message: str
) -> None:
    assert display.seconds(seconds) == message


@pytest.mark.parametrize(
    ("value", "message"), [(None, "–"), (3.21, "3.2 ms"), (1250.4, "1,250 ms")]
)
def test_a_run_is_shown_in_milliseconds(value: float | None, message: str) -> None:
    assert display.milliseconds(value) == message


def test_the_first_line_that_says_something_is_shown() -> None:
    assert display.first_line("\n \nno paper\nmore") == "no paper"
    assert display.first_line("") == ""
