"""What pages, the API and the command say of events that were pruned."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.template import Context, Template
from django.test import Client
from django.utils import timezone

from router.flow.route.head import lock_head
from router.management.commands import prune
from router.models import AuditEntry, Delivery, EventRecord, LogHead
from tests.integration.api import Get, assert_problem
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")

PROGRESS = Template(
    "{% load router_progress %}{% delivery_progress source='/shop' subject='order-1' %}"
)
OVER = "All steps are over, and their details are not kept any more."


def run(*words: str) -> str:
    out = StringIO()
    call_command("prune", *words, stdout=out, stderr=StringIO())
    return out.getvalue()


@pytest.fixture
def old(db: None) -> list[EventRecord]:
    """Two old events that may go, and one that is owed."""
    lock_head()
    receipts, erp = a_subscriber("receipts"), a_subscriber("erp")
    events = [an_event() for _ in range(3)]
    for event in events:
        a_delivery(event, receipts, "ACKNOWLEDGED")
    a_delivery(events[1], erp)
    task = a_failed_task(a_delivery(events[0], erp, "ACKNOWLEDGED"), state="retried")
    assert task.pk
    at = timezone.now() - timedelta(days=100)
    EventRecord.objects.update(recorded_at=at)
    return events


def test_the_command_says_what_it_deleted_and_what_it_left(
    old: list[EventRecord], settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "KEEP_EVENTS_DAYS": 90}
    at = EventRecord.objects.values_list("recorded_at", flat=True)[0]
    would, did, later = run("--dry-run"), run(), run()

    counts = (
        f"recorded from {at:%Y-%m-%d %H:%M} UTC to {at:%Y-%m-%d %H:%M} UTC; with them "
        "3 deliveries, 0 attempts and 1 failed tasks."
    )
    left = (
        "1 events are as old and stay: they are owed, or have an open failed task. "
        "Held by erp (1)."
    )
    assert would.splitlines()[0] == f"2 events would be deleted, {counts}"
    assert did.splitlines()[0] == f"2 events deleted, {counts}"
    assert would.splitlines()[-1] == did.splitlines()[-1] == left
    assert "uses their space again" in did
    assert later.startswith("0 events deleted: none before ")
    assert list(EventRecord.objects.all()) == [old[1]]


def test_a_run_leaves_a_line_in_the_audit_before_it_deletes(
    old: list[EventRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("--dry-run", "--days", "90")
    assert not AuditEntry.objects.exists()

    class Interrupted(prune.Walk):
        def step(self) -> bool:
            if self.position:
                raise KeyboardInterrupt
            return super().step()

    monkeypatch.setattr(prune, "Walk", Interrupted)
    printed = run("--days", "90", "--reason", "full disk")

    assert printed.splitlines()[0] == "Stopped. Run it again to go on."
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target, entry.reason) == (
        "log.pruned", "the log", "full disk",
    )  # fmt: skip
    assert entry.detail.startswith("events recorded before ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give --days N, or set ROUTER['KEEP_EVENTS_DAYS']"),
        (("--days", "0"), "'0' is no whole number from 1 to 36500"),
        (("--days", "36501"), "no whole number"),
        (("--days", "a week"), "no whole number"),
    ],
)
def test_the_command_refuses_what_is_no_age(words: tuple[str], message: str) -> None:
    with pytest.raises(CommandError, match=message.replace("[", r"\[")):
        run(*words)


def test_the_api_tells_what_was_pruned_from_what_never_was(
    get: Get, old: list[EventRecord]
) -> None:
    first, _, last = (event.number for event in old)
    newer = [an_event() for _ in range(2)]
    page = get("events/", page_size=2).json()
    assert page["pruned_to"] is None
    problem = assert_problem(get(f"events/{last + 99}/"), 404)
    assert "pruned" not in problem["detail"]

    run("--days", "90")

    behind = get("events/", page_size=2, cursor=page["next"]).json()
    assert [result["number"] for result in behind["results"]] == [old[1].number]
    assert (behind["next"], behind["pruned_to"]) == (None, old[2].position)
    assert newer[0].position == old[2].position + 1
    for number, is_hinted in {first: True, last: True, last + 99: False}.items():
        problem = assert_problem(get(f"events/{number}/"), 404)
        assert ("may have been pruned" in problem["detail"]) == is_hinted


def test_the_admin_says_that_a_row_may_have_been_pruned(
    client: Client, old: list[EventRecord], admin_user: User
) -> None:
    client.force_login(admin_user)
    addresses = [
        f"/admin/router/eventrecord/{old[0].pk}/change/",
        f"/admin/router/delivery/{Delivery.objects.earliest('pk').pk}/change/",
        f"/admin/router/failedtask/{old[0].failed_tasks.get().pk}/change/",
    ]
    run("--days", "90")

    for address in addresses:
        response = client.get(address, secure=True)
        assert response.status_code == 404
        assert "It may have been pruned" in response.content.decode()
    other = client.get("/admin/router/apikey/99/change/", secure=True)
    assert "pruned" not in other.content.decode()


def test_the_page_of_an_old_order_says_that_its_steps_are_over(
    old: list[EventRecord],
) -> None:
    Delivery.objects.update(state="ACKNOWLEDGED")
    assert OVER not in PROGRESS.render(Context())
    run("--days", "90")
    assert OVER in PROGRESS.render(Context())

    LogHead.objects.update(pruned_to=0)
    assert PROGRESS.render(Context()).strip() == "", "nothing was ever pruned"
