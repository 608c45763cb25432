"""A handler under another name goes on where it was under the old one."""

from __future__ import annotations

from collections import Counter

import pytest

from router.flow.cursor.reading import next_chunk
from router.flow.deliver.stream import serve
from router.models import (
    AuditEntry,
    EventRecord,
    FailedTask,
    Subscriber,
    Turn,
)
from router.operate import failed_tasks
from router.public import Event, publish
from router.registry import isolated
from router.testing import deliver_due
from tests.contract.steps import drain, let_the_turn_run_out, publish_and_route
from tests.contract.stream_steps import is_measured
from tests.receivers import Declare

pytestmark = pytest.mark.django_db(transaction=True)


class Handler:
    """It counts what it did, and fails for what is in `bad`."""

    def __init__(self, *bad: int) -> None:
        self.bad = set(bad)
        self.done: Counter[int] = Counter()

    def __call__(self, event: Event) -> None:
        if event.data["n"] in self.bad:
            raise ValueError("no use")
        self.done[event.data["n"]] += 1


def test_all_that_it_had_and_was_owed_goes_on(declare: Declare) -> None:
    handle = Handler(0, 1)
    old = declare("old", handle, max_failures=1).row
    is_measured()
    publish_and_route(1)
    serve(old.pk)
    assert FailedTask.objects.get().subscriber_id == old.pk
    with isolated():
        declare("old", handle)
        publish_and_route(3)
        serve(old.pk)
        # A worker of the older code has the next ones, and vanishes.
        publish_and_route(2)
        assert next_chunk(old.pk) is not None
    with isolated():
        new = declare("new", handle, formerly="old")
        # Once more, as every start of a dispatcher.
        declare("new", handle, formerly="old")
        assert Subscriber.objects.known().get() == old
        publish_and_route(1)
        let_the_turn_run_out()
        handle.bad.clear()
        drain()
        failed_tasks.retry([FailedTask.objects.get().pk], by="command")
        drain()

    assert new.row.pk == old.pk
    # Each batch counts its events from 0.
    assert handle.done == {0: 4, 1: 2, 2: 1}
    renamed = AuditEntry.objects.get(action="subscriber.renamed")
    assert (renamed.target, renamed.actor) == ("subscriber new", "router")
    assert renamed.detail == "formerly old"


def test_older_code_beside_it_leaves_its_events_alone(declare: Declare) -> None:
    handle = Handler()
    declare("old", handle)
    with isolated():
        declare("new", handle, formerly="old")
    # Here is the older code again; it does not register anew.
    publish_and_route(2)
    deliver_due()
    serve(Subscriber.objects.get().pk)
    assert not handle.done

    with isolated():
        declare("new", handle, formerly="old")
        Turn.objects.update(marked_until=None)
        drain()
    assert handle.done == {0: 1, 1: 1}


def test_one_that_has_the_new_name_already_stays_as_it_is(declare: Declare) -> None:
    old, new = declare("old").row, declare("new").row

    with isolated():
        declare("new", formerly="old")

    rows = Subscriber.objects.order_by("pk").values_list("pk", "name")
    assert list(rows) == [(old.pk, "old"), (new.pk, "new")]
    assert not AuditEntry.objects.exists()


def test_what_it_publishes_again_has_the_same_id(declare: Declare) -> None:
    is_broken = True

    def publish_and_fail(event: Event) -> None:
        publish("thing.followed", {})
        if is_broken:
            raise ValueError("after its effect")

    declare("old", publish_and_fail, is_transactional=False)
    publish_and_route(1)
    deliver_due()

    is_broken = False
    with isolated():
        declare("new", publish_and_fail, is_transactional=False, formerly="old")
        drain()

    assert EventRecord.objects.filter(type="thing.followed").count() == 1
