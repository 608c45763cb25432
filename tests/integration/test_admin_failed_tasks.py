from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from router.models import (
    AttemptResult,
    DeliveryState,
    EventRecord,
    FailedTask,
    FailedTaskState,
    Reason,
    Subscriber,
)
from router.operate.schemas import register_schema
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import a_viewer, an_operator, messages_of

pytestmark = pytest.mark.usefixtures("empty_router")

LIST = "/admin/router/failedtask/"
SETTLE = "/admin/router/failedtask/settle/"
NOTE = "the printer has paper again"


@pytest.fixture
def mail() -> Subscriber:
    return a_subscriber("mail")


def a_task(subscriber: Subscriber, **fields: object) -> FailedTask:
    event = an_event(data={"note": "<script>alert(1)</script>"})
    delivery = a_delivery(event, subscriber, "DEAD", attempts=8, failures=8)
    delivery.attempt_log.create(
        number=8,
        result=AttemptResult.DEAD,
        error="ValueError: no paper",
        traceback="Traceback of the eighth",
        ended_at=event.recorded_at,
    )
    return a_failed_task(delivery, **fields)


def page_of(task: FailedTask) -> str:
    return reverse("admin:router_failedtask_change", args=[task.pk])


def settle(client: Client, *tasks: FailedTask, verb: str, note: str = NOTE) -> str:
    ids = ",".join(str(task.pk) for task in tasks)
    form = {"ids": ids, "verb": verb, "note": note}
    answer = client.post(SETTLE, form, follow=True)
    return f"{messages_of(answer)} {answer.content.decode()}"


def state_of(task: FailedTask) -> tuple[str, str]:
    task.refresh_from_db()
    task.delivery.refresh_from_db()
    return task.state, task.delivery.state


def test_the_page_shows_the_whole_evidence(mail: Subscriber) -> None:
    task = a_task(mail, reason=Reason.REJECTED, traceback="Traceback of the last")

    page = an_operator().get(page_of(task)).content.decode()

    for shown in (
        "no such warehouse",
        "Rejected",
        "Traceback of the last",
        "Traceback of the eighth",
        "&quot;specversion&quot;: &quot;1.0&quot;",
    ):
        assert shown in page
    assert "<script>alert" not in page


def test_a_retry_owes_the_delivery_again_and_keeps_who_and_why(
    mail: Subscriber,
) -> None:
    task = a_task(mail)

    page = settle(an_operator("olga"), task, verb="retry")

    assert state_of(task) == (FailedTaskState.RETRIED, DeliveryState.PENDING)
    assert (task.settled_by_name, task.settled_note) == ("olga", NOTE)
    assert task.settled_at is not None
    assert "1 failed task will be tried again" in page
    assert NOTE in page


def test_a_discard_cancels_the_delivery(mail: Subscriber) -> None:
    task = a_task(mail)

    settle(an_operator(), task, verb="discard")

    assert state_of(task) == (FailedTaskState.DISCARDED, DeliveryState.CANCELLED)


@pytest.mark.parametrize("note", ["", "   \n "])
def test_without_a_reason_nothing_is_changed(mail: Subscriber, note: str) -> None:
    task = a_task(mail)

    page = settle(an_operator(), task, verb="retry", note=note)

    assert "Say why" in page
    assert state_of(task) == (FailedTaskState.OPEN, DeliveryState.DEAD)


def test_a_verb_that_nobody_knows_changes_nothing(mail: Subscriber) -> None:
    task = a_task(mail)
    form = {"ids": str(task.pk), "verb": "explode", "note": NOTE}

    answer = an_operator().post(SETTLE, form)

    assert answer.status_code == 400
    assert state_of(task)[0] == FailedTaskState.OPEN


def test_acting_on_a_stale_page_says_so_and_changes_nothing(mail: Subscriber) -> None:
    task = a_task(mail)
    settle(an_operator("olga"), task, verb="retry")

    page = settle(an_operator("otto"), task, verb="discard", note="too late")

    assert f"Failed task {task.pk}: It was already retried by olga" in page
    assert state_of(task) == (FailedTaskState.RETRIED, DeliveryState.PENDING)
    assert (task.settled_by_name, task.settled_note) == ("olga", NOTE)


def test_many_are_settled_after_a_page_that_asks(mail: Subscriber) -> None:
    tasks = [a_task(mail) for _ in range(3)]
    operator = an_operator()
    chosen = {
        "action": "retry_selected",
        "_selected_action": [task.pk for task in tasks],
    }

    question = operator.post(LIST, chosen)

    assert "Retry 3 failed tasks?" in question.content.decode()
    assert state_of(tasks[0])[0] == FailedTaskState.OPEN
    form = {name: question.context[name] for name in ("ids", "verb")}
    answer = operator.post(SETTLE, {**form, "note": NOTE}, follow=True)
    assert "3 failed tasks will be tried again" in messages_of(answer)
    assert {state_of(task)[0] for task in tasks} == {FailedTaskState.RETRIED}


def test_of_many_tasks_each_stale_one_is_reported(mail: Subscriber) -> None:
    stale, fresh = a_task(mail), a_task(mail)
    operator = an_operator()
    settle(operator, stale, verb="discard")

    page = settle(operator, stale, fresh, verb="retry")

    assert "1 failed task will be tried again" in page
    assert f"Failed task {stale.pk}: It was already discarded" in page


def test_what_is_no_number_is_not_settled(mail: Subscriber) -> None:
    task = a_task(mail)
    form = {"ids": f"x,,{task.pk},²", "verb": "retry", "note": NOTE}

    answer = an_operator().post(SETTLE, form, follow=True)

    assert "1 failed task will be tried again" in messages_of(answer)


def test_viewers_see_the_evidence_and_no_field(mail: Subscriber) -> None:
    task = a_task(mail)
    viewer = a_viewer()

    page = viewer.get(page_of(task)).content.decode()
    listed = viewer.get(LIST).content.decode()

    assert "no such warehouse" in page
    assert 'name="note"' not in page
    assert "retry_selected" not in listed


@pytest.mark.parametrize("address", [LIST, SETTLE])
def test_viewers_are_refused_to_change_anything(mail: Subscriber, address: str) -> None:
    task = a_task(mail)
    form = {
        "action": "retry_selected",
        "_selected_action": task.pk,
        "ids": task.pk,
        "verb": "retry",
        "note": NOTE,
    }

    answer = a_viewer().post(address, form)

    assert answer.status_code == 403
    assert state_of(task)[0] == FailedTaskState.OPEN


def test_looking_at_an_address_settles_nothing(mail: Subscriber) -> None:
    task = a_task(mail)
    form: dict[str, str | int] = {"ids": task.pk, "verb": "retry", "note": NOTE}

    assert an_operator().get(SETTLE, form).status_code == 405
    assert state_of(task)[0] == FailedTaskState.OPEN


def test_a_form_of_another_site_is_refused(mail: Subscriber) -> None:
    task = a_task(mail)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = an_operator().cookies

    answer = strict.post(SETTLE, {"ids": task.pk, "verb": "retry", "note": NOTE})

    assert answer.status_code == 403
    assert state_of(task)[0] == FailedTaskState.OPEN


def test_open_ones_stand_first_and_each_can_be_found(mail: Subscriber) -> None:
    other = a_task(a_subscriber("stock"))
    newest = a_task(mail)
    operator = an_operator()
    settle(operator, newest, verb="discard")

    everything = operator.get(LIST).context["cl"].result_list
    open_ones = operator.get(LIST, {"state": "open"}).context["cl"].result_list
    of_mail = operator.get(LIST, {"subscriber": mail.pk}).context["cl"].result_list
    by_event = operator.get(LIST, {"q": newest.event.event_id}).context["cl"]

    assert list(everything) == [other, newest]
    assert list(open_ones) == [other]
    assert list(of_mail) == [newest]
    assert list(by_event.result_list) == [newest]


def edit(client: Client, task: FailedTask, data: str, **form: str) -> tuple[Any, str]:
    address = f"/admin/router/failedtask/{task.pk}/edit/"
    answer = client.post(address, {"payload": data, "note": NOTE, **form}, follow=True)
    return answer, f"{messages_of(answer)} {answer.content.decode()}"


def test_an_edit_shows_what_changes_before_it_is_sent(mail: Subscriber) -> None:
    task = a_task(mail)
    operator = an_operator("olga")
    opened = operator.get(f"/admin/router/failedtask/{task.pk}/edit/")
    assert "&lt;script&gt;alert(1)" in opened.content.decode()

    answer, page = edit(operator, task, '{"note": "fixed"}', preview="1")

    assert "<ins>+  &quot;note&quot;: &quot;fixed&quot;</ins>" in page
    assert state_of(task)[0] == FailedTaskState.OPEN
    answer, page = edit(operator, task, '{"note": "fixed"}', send="1")
    assert "undo it until then" in page
    assert state_of(task) == (FailedTaskState.RETRIED, DeliveryState.CANCELLED)
    assert task.successor is not None
    assert task.successor.event.data == {"note": "fixed"}
    assert (task.settled_by_name, task.settled_note) == ("olga", NOTE)
    restore = f"/admin/router/failedtask/{task.pk}/restore/"
    assert restore in page
    operator.post(restore)
    assert state_of(task) == (FailedTaskState.OPEN, DeliveryState.DEAD)


@pytest.mark.parametrize(
    ("data", "reason"), [("{", "This is no JSON"), ("7", "does not fit urn:t:1")]
)
def test_a_payload_that_is_wrong_is_not_sent(
    mail: Subscriber, data: str, reason: str
) -> None:
    task = a_task(mail)
    schema = {"$id": "urn:t:1", "type": "object"}
    register_schema("purchase.completed", schema, by="test")
    EventRecord.objects.update(dataschema="urn:t:1")
    _, page = edit(an_operator(), task, data, send="1")
    assert reason in page
    assert state_of(task)[0] == FailedTaskState.OPEN


def test_a_wrong_payload_is_named_where_the_page_compares_it(
    mail: Subscriber,
) -> None:
    address = f"/admin/router/failedtask/{a_task(mail).pk}/edit/"
    operator = an_operator()
    typed = operator.post(address, {"payload": "{"}, headers={"HX-Request": "true"})
    sent = operator.post(address, {"payload": "{"})

    problems = [
        page.content.decode().count("This is no JSON") for page in (typed, sent)
    ]
    assert problems == [2, 1]


def test_a_task_that_was_settled_meanwhile_is_not_edited(mail: Subscriber) -> None:
    task = a_task(mail)
    settle(an_operator("olga"), task, verb="discard")
    _, page = edit(an_operator("otto"), task, '{"note": "fixed"}', send="1")
    assert "It was already discarded by olga" in page


def test_a_redirection_names_where_it_goes(mail: Subscriber) -> None:
    task, spare = a_task(mail), a_subscriber("spare")
    address = f"/admin/router/failedtask/{task.pk}/redirect/"
    operator = an_operator()
    form = {"subscriber": spare.pk, "note": NOTE}
    assert "required" in operator.post(address, {"note": NOTE}).content.decode()
    page = operator.post(address, form, follow=True).content.decode()
    assert state_of(task) == (FailedTaskState.REDIRECTED, DeliveryState.CANCELLED)
    assert "to Spare took its place" in page
    again = operator.post(address, form, follow=True)
    assert "already redirected" in messages_of(again)
