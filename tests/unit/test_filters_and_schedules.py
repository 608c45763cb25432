from __future__ import annotations

from collections.abc import Callable

import pytest

from router.contract.errors import InvalidSubscriber
from router.contract.event import Event
from router.contract.filters import matches_any, pattern_problem, prefix_problem
from router.contract.retry import RetrySchedule
from router.registry import Declaration, declared, isolated, subscriber


@pytest.mark.parametrize(
    ("pattern", "event_type", "is_wanted"),
    [
        ("purchase.completed", "purchase.completed", True),
        ("purchase.completed", "purchase.refunded", False),
        ("purchase.*", "purchase.completed", True),
        ("purchase.*", "purchase.line.returned", True),
        # The dot belongs to the pattern: no other word that begins alike.
        ("purchase.*", "purchases.completed", False),
        ("purchase.*", "purchase", False),
        ("*", "anything.at_all", True),
        ("OrderCreated", "OrderCreated", True),
        ("OrderCreated", "ordercreated", False),
        ("Microsoft.Storage.*", "Microsoft.Storage.BlobCreated", True),
        ("a/b c.*", "a/b c.ü", True),
        # A type may hold what patterns mean something by.
        ("purchase.*", "purchase.*", True),
        ("*", "a*b", True),
    ],
)
def test_a_pattern_wants_what_it_says(
    pattern: str, event_type: str, is_wanted: bool
) -> None:
    assert matches_any([pattern], event_type) is is_wanted


@pytest.mark.parametrize(
    "pattern",
    ["", "*.completed", "a*", "a.*.b", "a.**", ".*", "a\nb", "x" * 256, 7, None],
)
def test_what_is_no_pattern_is_refused(pattern: object) -> None:
    assert pattern_problem(pattern)


@pytest.mark.parametrize(
    "pattern", ["", "a*b", "**", "x" * 256, "a\x9b", "\n*", "\ud800"]
)
def test_what_nothing_can_be_bound_to_is_refused(pattern: str) -> None:
    assert prefix_problem(pattern)


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_seconds": 0},
        {"first_seconds": 10, "maximum_seconds": 5},
        {"maximum_seconds": 86_401},
        {"max_failures": 0},
        {"max_failures": 101},
        {"give_up_after_seconds": -1},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        RetrySchedule(**wrong)


def handler(event: Event) -> None: ...


async def asynchronous(event: Event) -> None: ...


def takes_two(event: Event, other: object) -> None: ...


@pytest.mark.parametrize(
    ("name", "options", "function", "message"),
    [
        ("Loyalty", {}, handler, "the name must be"),
        ("loyalty", {"events": []}, handler, "`events` is empty"),
        ("loyalty", {"events": ["no\ntype"]}, handler, "is not an event type"),
        ("loyalty", {"queue": "fast"}, handler, "`queue` must be one of default, slow"),
        ("loyalty", {"ordering": "type"}, handler, "`ordering` must be one of none"),
        ("loyalty", {"on_dead": "go"}, handler, "`on_dead` must be one of hold, skip"),
        ("loyalty", {"max_failures": 0}, handler, "`max_failures` must be above zero"),
        ("loyalty", {}, asynchronous, "`async def`"),
        ("loyalty", {}, takes_two, "exactly one argument"),
    ],
)
def test_a_wrong_option_is_refused_where_it_stands(
    name: str,
    options: dict[str, object],
    function: Callable[..., object],
    message: str,
) -> None:
    with isolated(), pytest.raises(InvalidSubscriber, match=message):
        subscriber(name, **{"events": ["purchase.completed"], **options})(function)


def test_a_name_is_taken_once_but_a_module_may_load_twice() -> None:
    def another(event: Event) -> None: ...

    with isolated():
        subscriber("loyalty", events=["purchase.completed"])(handler)
        subscriber("loyalty", events=["purchase.completed"])(handler)
        with pytest.raises(InvalidSubscriber, match="the name is taken by"):
            subscriber("loyalty", events=["purchase.completed"])(another)
        names: list[Declaration] = list(declared())

    assert [name.name for name in names] == ["loyalty"]
