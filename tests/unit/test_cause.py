from __future__ import annotations

import pytest

from router.contract.cause import cause_text, shareable

RAISED = """Traceback (most recent call last):
  File "/app/router/deliver.py", line 10, in run
    handler(event)
  File "/app/erp/orders.py", line {line}, in {function}
    raise ValueError
"""


def cause(error: str = "", *, line: int = 7, function: str = "book") -> str:
    traceback = RAISED.format(line=line, function=function)
    return cause_text(error, traceback, status=None, answer="")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("KeyError: order 12 has no line 3", "KeyError: order 4711 has no line 15"),
        ("unknown currency 'XXX' in line 3", "unknown currency 'Yen' in line 14"),
        ('no key "a@b.example"', 'no key "77"'),
        ("can't mail eva@a.example: full", "can't mail o.b+c@d.example: full"),
        (
            "no 0192f3e2-6f2e-7b3a-9d6e-2f1f7e7d9b11 here",
            "no 7c9e6679-7425-40de-944b-e07fc1f90ae7 here",
        ),
        ("order RS3XM2 unknown", "order 9K2Z7QA4 unknown"),
        ("took 1.5 s\nand more", "took 22,000.75 s\nand other"),
    ],
)
def test_values_do_not_make_another_cause(one: str, other: str) -> None:
    assert cause(one) == cause(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (cause("ValueError: no paper"), cause("ValueError: no ink")),
        (cause("ValueError: no paper"), cause("KeyError: no paper")),
        (cause("x", function="book"), cause("x", function="cancel")),
        (
            cause_text("", "", status=500, answer="down"),
            cause_text("", "", status=503, answer="down"),
        ),
        (
            cause_text("", "", status=422, answer="unknown currency"),
            cause_text("", "", status=422, answer="unknown country"),
        ),
    ],
)
def test_another_message_status_or_place_is_another_cause(one: str, other: str) -> None:
    assert one != other


def test_a_line_that_moved_is_the_same_cause() -> None:
    assert cause("x", line=7) == cause("x", line=9)


def test_of_an_answer_the_status_and_the_first_line_count() -> None:
    one = cause_text("HttpStatus", "a", status=422, answer="\nbad line 3\n<html>1")
    other = cause_text("", "", status=422, answer="bad line 77\n<html>2")
    assert one == other == "HTTP 422\nbad line <number>"


@pytest.mark.parametrize(
    ("failure", "texts", "shown"),
    [
        ("HTTP 503: overloaded", ["Clara"], "HTTP 503: overloaded"),
        ("HTTP 503", ["503"], "HTTP 503"),
        ("", ["Clara"], ""),
        ("HTTP 422: no order 4711", [], "HTTP 422: no order <number>"),
        ("KeyError: 'clara'", [], "KeyError: <text>"),
        # The event's words, however they are written.
        ("ValueError: who is CLARA Horn?", ["Clara Horn"], "ValueError: who is … …?"),
        ("ValueError: 王小明不存在", ["王小明"], "ValueError: …不存在"),
        # Short ones are in every sentence.
        ("ValueError: it is in DE", ["DE"], "ValueError: it is in DE"),
        ("ValueError: half : Clara", ["Clara"], "ValueError: half : …"),
    ],
)
def test_a_failure_is_shared_without_what_the_event_holds(
    failure: str, texts: list[str], shown: str
) -> None:
    assert shareable(failure, texts) == shown
