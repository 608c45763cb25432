"""Notes and assignee of failed tasks and causes, and failed tasks as a file."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from router.flow.causes import group_by_cause
from router.models import AuditEntry, FailedTask, Subscriber
from router.operate.erase.rows import erase_evidence
from router.operate.notes import seen
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import a_person, a_viewer, an_operator, messages_of

pytestmark = pytest.mark.usefixtures("empty_router")

EXPORT = "/admin/router/failedtask/export/{}/"


@pytest.fixture
def task() -> FailedTask:
    return a_task(a_subscriber("mail"))


def a_task(subscriber: Subscriber, **fields: Any) -> FailedTask:
    return a_failed_task(a_delivery(an_event(), subscriber, "DEAD"), **fields)


def write(client: Client, row: Any, notes: str, **form: str) -> str:
    address = f"/admin/router/{row._meta.model_name}/{row.pk}/notes/"
    form = {"assignee": "olga", "notes": notes, "seen": seen(row), **form}
    return messages_of(client.post(address, form, follow=True))


def test_notes_are_kept_and_a_stale_page_changes_nothing(task: FailedTask) -> None:
    group_by_cause()
    task.refresh_from_db()
    operator = an_operator("olga")
    for row in (task, task.group):
        assert "kept" in write(operator, row, "called the ERP")
        # The page of the second operator had no notes.
        assert "Another operator changed" in write(operator, row, "mine")
        row.refresh_from_db()
        assert (row.assignee, row.notes) == ("olga", "called the ERP")
        assert "kept" in write(operator, row, "mine")
    assert "assigned to olga" in AuditEntry.objects.earliest("pk").detail
    page = a_viewer().get(f"/admin/router/failedtask/{task.pk}/change/")
    assert "Assigned to olga" in page.content.decode()


def test_nobody_outside_the_staff_is_assigned(task: FailedTask) -> None:
    answer = write(an_operator("olga"), task, "x", assignee="mallory")
    assert "Nothing is kept" in answer


def test_notes_of_a_customer_are_erased(task: FailedTask) -> None:
    group_by_cause()
    task.refresh_from_db()
    operator = an_operator("olga")
    for row in (task, task.group):
        write(operator, row, "wrote to Ada Horn")
    erase_evidence([task.event_id], {"ada horn"})
    for row in (task, task.group):
        row.refresh_from_db()
        assert row.notes == "wrote to [erased]"


def exported(client: Client, kind: str, **query: Any) -> str:
    response: Any = client.get(EXPORT.format(kind), query)
    assert response.status_code == 200
    assert f".{kind}" in response["Content-Disposition"]
    return b"".join(response.streaming_content).decode()


def test_the_list_is_a_file_as_it_is_filtered(task: FailedTask) -> None:
    a_task(a_subscriber("stock"), error="=HYPERLINK(1)")
    viewer = a_viewer()
    every = list(csv.DictReader(exported(viewer, "csv").splitlines()))
    assert [row["subscriber"] for row in every] == ["stock", "mail"]
    assert every[0]["error"] == "'=HYPERLINK(1)"
    mine = exported(viewer, "csv", subscriber=task.subscriber_id)
    assert [row["id"] for row in csv.DictReader(mine.splitlines())] == [str(task.pk)]
    assert "private to the customer" not in exported(viewer, "csv")


def test_events_are_in_the_file_only_for_who_may_see_them(task: FailedTask) -> None:
    [row] = json.loads(exported(a_viewer(), "json"))
    assert row["cloudevent"]["data"] == {"secret": "private to the customer"}
    clerk = a_person("clara")
    give(clerk, "view_failedtask")
    text = exported(clerk, "json")
    assert "private to the customer" not in text
    assert [row["id"] for row in json.loads(text)] == [task.pk]


def test_an_empty_list_is_a_file_too() -> None:
    assert json.loads(exported(a_viewer(), "json")) == []


def give(client: Client, codename: str) -> None:
    user = User.objects.get(pk=client.session["_auth_user_id"])
    user.user_permissions.add(Permission.objects.get(codename=codename))
