"""A handler that gets the events of one key in order, begins to, or ends to."""

from __future__ import annotations

from collections import defaultdict

import pytest
from django.db import transaction

from router.contract.errors import LeaseLost
from router.contract.outcomes import Reject
from router.flow.cursor.reading import next_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.deliver.stream import serve
from router.flow.deliver.stream_settling import acknowledge_chunk
from router.flow.order import release_stuck
from router.models import Delivery, FailedTask, Run, Subscriber
from router.operate import failed_tasks, switch_ordering
from router.public import Event
from router.registry import isolated
from router.testing import deliver_due
from tests.contract.keys import happen, lease, open_by_key, rounds
from tests.contract.steps import fates
from tests.contract.stream_steps import cursor, is_measured
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)


class Taken:
    """What a handler took, by key; it refuses what is in `bad`, and what
    is in `failing` may come again."""

    def __init__(self, *bad: int) -> None:
        self.bad = set(bad)
        self.failing: set[int] = set()
        self.by_key: dict[str, list[int]] = defaultdict(list)

    def __call__(self, event: Event) -> None:
        if event.data["n"] in self.bad:
            raise Reject("no use")
        if event.data["n"] in self.failing:
            raise ValueError("not now")
        self.by_key[event.partitionkey].append(event.data["n"])


def test_a_failed_event_holds_the_later_ones_of_its_key_alone(declare: Declare) -> None:
    taken = Taken(1)
    declare(behave=taken, ordering="key")
    is_measured()
    happen("a", "b", "a", "b", "a", "")
    rounds(3)

    assert taken.by_key == {"b": [2, 4], "": [6]}
    assert open_by_key() == {"a": ["dead", "held", "held"]}
    taken.bad.clear()
    failed_tasks.retry([FailedTask.objects.get().pk], by="command")
    rounds(3)
    assert taken.by_key == {"a": [1, 3, 5], "b": [2, 4], "": [6]}
    assert not Subscriber.objects.get().is_streamed


def test_a_key_goes_on_where_the_declaration_lets_the_dead_pass(
    declare: Declare,
) -> None:
    taken = Taken(1)
    declare(behave=taken, ordering="key")
    happen("a", "a")
    rounds(1)
    assert open_by_key() == {"a": ["dead", "held"]}

    declare(behave=taken, ordering="key", on_dead="skip")
    assert release_stuck() == 1
    rounds(1)

    assert taken.by_key == {"a": [2]}


def test_what_is_under_way_when_order_begins_comes_once(declare: Declare) -> None:
    taken = Taken()
    taken.failing = {1}
    declare(behave=taken)
    is_measured()
    happen("a")
    serve(Subscriber.objects.get().pk)
    happen("a", "b", "a", first=2)
    held = next_chunk(Subscriber.objects.get().pk)
    assert held is not None

    declare(behave=taken, ordering="key")
    with pytest.raises(LeaseLost), transaction.atomic():
        acknowledge_chunk(held, run_ms=[1.0] * 3, is_last=True)
    happen("a", "b", first=5)
    rounds(3)

    assert taken.by_key == {"b": [3, 6]}
    taken.failing.clear()
    rounds(5)
    assert taken.by_key == {"a": [1, 2, 4, 5], "b": [3, 6]}


def test_what_is_under_way_when_order_ends_comes_once(declare: Declare) -> None:
    taken = Taken(1)
    ordered = declare(behave=taken, ordering="key")
    is_measured()
    happen("a", "b", "a")
    deliver_due()
    happen("b", "b", first=4)
    held = lease(ordered.row)

    with isolated():
        declare(behave=taken)
        assert ordered.row.is_streamed
        with transaction.atomic():
            acknowledge(held, run_ms={each.pk: 1.0 for each in held.deliveries})
        happen("a", "b", first=6)
        rounds(3)

    # The fourth went to the worker that had it; no order is promised any more.
    assert sorted(sum(taken.by_key.values(), [])) == [2, 3, 5, 6, 7]
    assert fates() == ["DEAD", *["ACKNOWLEDGED"] * 6]
    assert not Delivery.objects.held().exists()


def test_an_ordered_handler_gets_all_of_history_by_its_one_cursor(
    declare: Declare,
) -> None:
    happen("a", "b", "a")
    taken = Taken()

    declare(behave=taken, ordering="key", start="beginning")
    happen("a", first=4)
    rounds(5)

    assert taken.by_key == {"a": [1, 3, 4], "b": [2]}
    assert (cursor().start, Run.objects.exists()) == (0, False)


def test_order_begins_later_where_too_much_is_open(
    declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch_ordering, "MAX_OPEN", 1)
    plain = declare(is_transactional=False)
    happen("a", "a")

    declare(ordering="key", is_transactional=False)
    assert not plain.row.is_ordered
    rounds(2)

    declare(ordering="key", is_transactional=False)
    assert plain.row.is_ordered
