"""Another delivery takes the place of one that is dead: of a corrected event, or to
another subscriber."""

from __future__ import annotations

from typing import Any

import pytest

from router.contract.errors import InvalidEvent, NotOpen, SchemaViolation
from router.models import (
    AuditEntry,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Subscriber,
)
from router.observe.explain.explaining import explain
from router.observe.progress import progress_of
from router.operate.erase.erasing import erase, search_for
from router.operate.failed_tasks import restore, retry
from router.operate.schemas import register_schema
from router.operate.substitutes import Act, edit_and_retry, redirect
from router.public import Event, Reject, publish
from router.testing import deliver_due, route, skip_waits
from tests.contract.keyed_router import KeyedRouter, subscribe
from tests.contract.keys import happen, rounds
from tests.contract.steps import TYPE, a_puller, take
from tests.receivers import Declare, Receiver

OLGA = Act(by="user olga", note="the currency was wrong")
WRONG, RIGHT = {"currency": "XXX"}, {"currency": "EUR"}


def judge(event: Event) -> None:
    if event.data["currency"] == "XXX":
        raise Reject("unknown currency XXX")


@pytest.fixture(params=[False, True], ids=["stream", "rows"])
def erp(declare: Declare, request: pytest.FixtureRequest) -> Receiver:
    """A subscriber that gave one event up."""
    receiver = declare("erp", judge, is_safe_concurrently=request.param)
    publish(TYPE, WRONG, id="order-7", source="/shop", subject="order 7")
    deliver_due()
    receiver.seen.clear()
    return receiver


def the_task() -> FailedTask:
    return FailedTask.objects.open().get()


def deliver_all() -> None:
    deliver_due()
    skip_waits()
    deliver_due()


def test_the_subscriber_gets_the_corrected_event_once(erp: Receiver) -> None:
    owed = edit_and_retry(the_task().pk, RIGHT, OLGA)
    deliver_all()
    deliver_all()

    [seen] = erp.seen
    assert seen.data == RIGHT
    assert seen.id != "order-7"
    assert seen.extensions == {"derivedfrom": "order-7"}
    assert (seen.source, seen.type, seen.subject) == ("/shop", TYPE, "order 7")
    owed.refresh_from_db()
    assert owed.state == DeliveryState.ACKNOWLEDGED
    task = FailedTask.objects.get()
    assert (task.state, task.settled_by_name) == ("retried", "user olga")
    # The log has the original as it was.
    original = EventRecord.objects.get(event_id="order-7")
    assert original.data == WRONG
    assert task.delivery.state == DeliveryState.CANCELLED
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.reason) == ("failed_task.edited", OLGA.note)


def test_another_subscriber_does_not_get_the_corrected_event(
    declare: Declare, erp: Receiver
) -> None:
    other = declare("crm")
    edit_and_retry(the_task().pk, RIGHT, OLGA)
    deliver_all()
    assert other.seen == []


def test_a_puller_gets_it_with_its_position(declare: Declare) -> None:
    row = a_puller()
    publish(TYPE, WRONG)
    route()
    [taken] = take(row)
    Delivery.objects.filter(pk=taken.pk).dead_letter()
    task = FailedTask.objects.create(
        delivery=taken, event=taken.event, subscriber=row, attempts=1,
        reason="REJECTED", opened_at=taken.created_at,
    )  # fmt: skip
    edit_and_retry(task.pk, RIGHT, OLGA)
    assert take(row) == ()
    route()
    skip_waits()
    [again] = take(row)
    assert (again.event.data, again.event.position) == (RIGHT, 2)


def test_it_can_be_undone_until_it_is_sent(erp: Receiver) -> None:
    task = the_task()
    edit_and_retry(task.pk, RIGHT, OLGA)
    deliver_due()
    assert erp.seen == []

    restore(task.pk, by="user olga")

    deliver_all()
    assert erp.seen == []
    assert the_task() == task
    edit_and_retry(task.pk, RIGHT, OLGA)
    deliver_all()
    assert len(erp.seen) == 1
    with pytest.raises(NotOpen, match="A worker has begun"):
        restore(task.pk, by="user olga")


def test_a_corrected_event_that_fails_is_a_failed_task_of_its_own(
    erp: Receiver,
) -> None:
    first = the_task()
    edit_and_retry(first.pk, {"currency": "XXX", "n": 2}, OLGA)
    deliver_all()
    second = the_task()
    assert second.event_id != first.event_id
    edit_and_retry(second.pk, RIGHT, OLGA)
    deliver_all()
    assert [event.data for event in erp.seen] == [{"currency": "XXX", "n": 2}, RIGHT]


def test_data_that_breaks_the_schema_is_refused(erp: Receiver) -> None:
    schema = {"$id": "urn:t:1", "required": ["currency"], "type": "object"}
    register_schema(TYPE, schema, by="test")
    EventRecord.objects.update(dataschema="urn:t:1")
    with pytest.raises(SchemaViolation) as refused:
        edit_and_retry(the_task().pk, {"total": 1}, OLGA)
    assert refused.value.problems[0][0].startswith("/data")
    assert EventRecord.objects.filter(only_for__isnull=False).count() == 0


def test_what_is_unchanged_is_refused(erp: Receiver) -> None:
    with pytest.raises(InvalidEvent, match="Nothing is changed"):
        edit_and_retry(the_task().pk, dict(WRONG), OLGA)


def test_of_two_operators_one_edits(erp: Receiver) -> None:
    task = the_task()
    edit_and_retry(task.pk, RIGHT, OLGA)
    for act in (
        lambda: edit_and_retry(task.pk, {"currency": "USD"}, OLGA),
        lambda: redirect(task.pk, erp.row, OLGA),
    ):
        with pytest.raises(NotOpen, match="already retried by user olga"):
            act()
    assert retry([task.pk], by="user otto").settled == ()
    assert EventRecord.objects.count() == 3  # With the notice of the failed task.


def test_another_subscriber_gets_it_instead(declare: Declare, erp: Receiver) -> None:
    spare = declare("spare", events=["nothing.at.all"])
    task = the_task()
    owed = redirect(task.pk, spare.row, OLGA)
    deliver_all()

    assert [event.id for event in spare.seen] == ["order-7"]
    task.refresh_from_db()
    assert (task.state, task.successor) == ("redirected", owed)
    assert erp.seen == []
    assert AuditEntry.objects.get().detail.endswith(f"to Spare as delivery {owed.pk}")


def test_a_redirection_is_undone(declare: Declare, erp: Receiver) -> None:
    spare = declare("spare", events=["nothing.at.all"])
    task = the_task()
    redirect(task.pk, spare.row, OLGA)
    restore(task.pk, by="user olga")
    deliver_all()
    assert spare.seen == []
    assert the_task() == task


def test_who_is_owed_it_already_does_not_get_it_twice(
    declare: Declare, erp: Receiver
) -> None:
    other = declare("crm", events=["crm.*"])
    Subscriber.objects.filter(pk=other.row.pk).update(allowed_types=["crm.*"])
    with pytest.raises(NotOpen, match="beyond"):
        redirect(the_task().pk, other.row, OLGA)
    with pytest.raises(NotOpen, match="same subscriber"):
        redirect(the_task().pk, erp.row, OLGA)
    wants = declare("wants", start="beginning")
    with pytest.raises(NotOpen, match="is owed this event itself"):
        redirect(the_task().pk, wants.row, OLGA)


def test_a_corrected_event_takes_the_place_in_the_order(bus: KeyedRouter) -> None:
    bus.refused = (1,)
    subscribe(on_dead="hold")
    happen("a", "a", "a")
    rounds()
    task = the_task()
    edit_and_retry(task.pk, {"n": 10}, OLGA)
    restore(task.pk, by="user olga")
    rounds()
    assert dict(bus.taken) == {}
    edit_and_retry(task.pk, {"n": 11}, OLGA)
    skip_waits()
    rounds()
    assert dict(bus.taken) == {"a": [11, 2, 3]}


def test_a_redirected_event_lets_its_key_go_on(
    declare: Declare, bus: KeyedRouter
) -> None:
    bus.refused = (1,)
    subscribe(on_dead="hold")
    spare = declare("spare", events=["nothing.at.all"])
    happen("a", "a")
    rounds()
    redirect(the_task().pk, spare.row, OLGA)
    rounds()
    assert dict(bus.taken) == {"a": [2]}


def test_limits_that_became_narrower_hold_for_corrected_events(
    erp: Receiver,
) -> None:
    edit_and_retry(the_task().pk, {"currency": "XXX", "n": 2}, OLGA)
    deliver_all()
    Subscriber.objects.update(allowed_types=["other.*"])
    task = the_task()
    [(_, why)] = retry([task.pk], by="user olga").refused
    assert "beyond" in why


def test_erasing_a_customer_erases_the_corrected_event(declare: Declare) -> None:
    schema = {
        "$id": "urn:t:1",
        "properties": {
            "email": {"type": "string", "format": "email", "x-personal": True},
            "name": {"type": "string", "x-personal": True},
        },
    }
    register_schema(TYPE, schema, by="test")

    def refuse(event: Event) -> None:
        raise Reject("no such address")

    receiver = declare("erp", refuse)
    publish(TYPE, {"email": "ada@exmaple.com", "name": "Ada"})
    deliver_due()
    receiver.behave = lambda event: None
    edit_and_retry(the_task().pk, {"email": "ada@example.com", "name": "Ada"}, OLGA)
    deliver_all()

    search = search_for("ada@example.com")
    list(search.steps())
    erase(search, by="command ada")

    data: list[Any] = [row.data for row in EventRecord.objects.filter(type=TYPE)]
    assert [each["name"] for each in data] == ["[erased]", "[erased]"]
    assert {each["email"] for each in data} == {"erased@erased.invalid"}


def test_explain_and_progress_show_what_took_the_place(erp: Receiver) -> None:
    task = the_task()
    owed = edit_and_retry(task.pk, RIGHT, OLGA)
    deliver_all()

    explanation = explain(task.event, erp.row)
    assert f"user olga edited it: event #{owed.event_id} took its place" in str(
        explanation.sentence
    )
    steps = progress_of(source="/shop", subject="order 7").steps
    assert [(step.event_number, step.state) for step in steps] == [
        (owed.event_id, "done")
    ]
