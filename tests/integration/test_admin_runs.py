"""Backfills and replays in the admin: begun after a preview, watched, and changed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from router.flow.route.routing import route_batch
from router.models import AuditEntry, Cursor, EventRecord, Run, RunState, Subscriber
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.operate.subscribers import create_subscriber
from router.public import Event, publish, subscriber
from router.testing import register_declared
from tests.integration.staff import a_person, a_viewer, an_operator, messages_of

pytestmark = pytest.mark.usefixtures("empty_router")


@pytest.fixture(autouse=True)
def erp(empty_router: None) -> Subscriber:
    """A subscriber that came after six events."""
    for n in range(6):
        publish("ticket.sold", {}, source="/box", subject=f"order-{n}")
    route_batch()
    wanted = {"transport": "pull", "events": ["ticket.*"]}
    return create_subscriber("erp", by="test", **wanted).subscriber


def url(name: str, row: Any) -> str:
    return reverse(f"admin:router_{name}", args=[row.pk])


def words(response: Any) -> str:
    assert response.status_code == 200, response
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def a_run(erp: Subscriber, **fields: Any) -> Run:
    request = RunRequest(kind="backfill", **fields)
    return begin_run(erp, request, by="user ada", reason="new")


def previewed(response: Any) -> str:
    found = re.search(r'name="previewed" value="(\w+)"', response.content.decode())
    assert found
    return found[1]


def test_the_page_of_a_subscriber_offers_its_history(erp: Subscriber) -> None:
    page = words(an_operator().get(url("subscriber_change", erp)))
    assert "Load history" in page
    assert "Replay…" in page


def test_history_is_loaded_after_a_preview(erp: Subscriber) -> None:
    olga, page = an_operator("olga"), url("subscriber_load_history", erp)
    first = olga.get(page)
    shown = words(first)
    assert "Gives erp 6 events from before it, beside its live ones." in shown
    assert "Positions 1 to 6" in shown
    assert "order-0" in shown

    answer = olga.post(
        page,
        {"begin": "1", "previewed": previewed(first), "reason": "a late start"},
        follow=True,
    )

    run = Run.objects.get()
    assert answer.redirect_chain == [(url("run_change", run), 302)]
    assert "Backfill 1 has begun." in messages_of(answer)
    assert (run.requested_by, run.reason) == ("user olga", "a late start")
    assert (run.start, run.end) == (0, 6)


def test_nothing_begins_that_was_not_previewed(erp: Subscriber) -> None:
    olga, page = an_operator(), url("subscriber_load_history", erp)
    changed = {"start": "position", "start_position": "3"}
    seen = previewed(olga.get(page))
    answer = olga.post(page, {"begin": "1", "previewed": seen, **changed})
    assert "look at the preview" in words(answer)
    assert "Gives erp 4 events" in words(answer)
    assert not Run.objects.exists()
    olga.post(page, {"begin": "1", "previewed": previewed(answer), **changed})
    assert Run.objects.get().start == 2


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"start": "position"}, "Say which."),
        ({"start": "position", "start_position": "99"}, "beyond the end of the log"),
        ({"start": "time", "start_time": "2999-01-01T00:00"}, "not come yet"),
        ({"start": "time", "start_time": "yesterday"}, "Enter a valid date/time."),
        ({"rate_per_second": "0"}, "greater than or equal"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    erp: Subscriber, sent: dict[str, str], problem: str
) -> None:
    answer = an_operator().post(url("subscriber_load_history", erp), sent)
    assert problem in words(answer)
    assert "Nothing has begun." in words(answer)


def test_a_second_backfill_is_refused_in_words(erp: Subscriber) -> None:
    a_run(erp)
    page = words(an_operator().get(url("subscriber_load_history", erp)))
    assert "A backfill is under way" in page


@pytest.mark.parametrize(
    ("sent", "effect"),
    [
        ({}, "Gives erp 6 events once more"),
        (
            {"start": "position", "start_position": "2", "until": "position",
             "until_position": "4"},
            "Gives erp 3 events once more",
        ),
        ({"events": "order-3"}, "Gives erp 1 event once more"),
        ({"types": "ticket.lost"}, "Gives nothing"),
        ({"filter": '{"exact": {"subject": "order-1"}}'}, "1 event once more"),
        ({"only_failed": "on"}, "Gives nothing"),
        ({"events": "order-99"}, "It gets no event that this means."),
        ({"events": "1, 2", "only_failed": "on"}, "beside"),
        ({"filter": '{"exakt": {}}'}, "Nothing has begun."),
    ],
)  # fmt: skip
def test_a_replay_says_what_it_would_give(
    erp: Subscriber, sent: dict[str, str], effect: str
) -> None:
    answer = an_operator().post(url("subscriber_replay", erp), {"preview": "1", **sent})
    assert effect in words(answer)
    assert not Run.objects.exists()


def test_a_replay_of_chosen_events_begins(erp: Subscriber) -> None:
    olga, page = an_operator(), url("subscriber_replay", erp)
    sent = {"events": "order-3", "rate_per_second": "2"}
    seen = previewed(olga.post(page, {"preview": "1", **sent}))
    olga.post(page, {"begin": "1", "previewed": seen, **sent})
    run = Run.objects.get()
    number = EventRecord.objects.get(subject="order-3").number
    assert (run.kind, run.chosen, run.rate_per_second) == ("replay", [number], 2)


def test_a_handler_that_is_not_idempotent_is_confirmed() -> None:
    @subscriber("plain", events=["ticket.*"])
    def plain(event: Event) -> None:
        pass

    register_declared()
    row = Subscriber.objects.get(name="plain")
    olga, page = an_operator(), url("subscriber_replay", row)
    first = olga.get(page)
    assert "The handler may do its work twice" in words(first)
    sent = {"begin": "1", "previewed": previewed(first)}
    assert "Confirm that it may." in words(olga.post(page, sent))
    assert not Run.objects.exists()
    olga.post(page, {**sent, "confirm": "on"})
    assert Run.objects.get().subscriber == row


def test_the_page_of_a_run_moves_by_itself_until_it_is_over(erp: Subscriber) -> None:
    run, vera = a_run(erp), a_viewer()
    Cursor.objects.filter(run=run.number).update(position=3)
    page = vera.get(url("run_change", run))
    shown = words(page)
    assert "50 % : 3 events left" in shown
    assert "user ada" in shown
    assert "Cancel the run Needs the role Operator" in shown
    assert f"{url('run_change', run)}?seen=active" in page.content.decode()
    again = vera.get(url("run_change", run) + "?seen=active")
    assert "HX-Refresh" not in again
    Run.objects.update(state=RunState.COMPLETE)
    over = vera.get(url("run_change", run) + "?seen=active")
    assert over["HX-Refresh"] == "true"
    assert "?seen=" not in over.content.decode()


def test_a_held_subscriber_is_named(erp: Subscriber) -> None:
    run = a_run(erp)
    Subscriber.objects.update(state="paused", state_reason="moving house")
    page = words(an_operator().get(url("run_change", run)))
    assert "erp is held. It is paused: moving house." in page


def test_a_run_is_paused_resumed_throttled_and_cancelled(erp: Subscriber) -> None:
    run, olga = a_run(erp), an_operator()

    def post(name: str, **sent: str) -> str:
        answer = olga.post(url(f"run_{name}", run), sent, follow=True)
        run.refresh_from_db()
        return messages_of(answer)

    assert "is paused" in post("pause", reason="busy")
    assert run.state == RunState.PAUSED
    assert "only an active one" in post("pause")
    assert "goes on" in post("resume")
    assert "The rate is saved" in post("rate", rate_per_second="5")
    assert run.rate_per_second == 5
    post("rate", rate_per_second="0")
    assert run.rate_per_second == 5
    assert "cancelled" in post("cancel", reason="enough")
    assert run.state == RunState.CANCELLED
    assert AuditEntry.objects.get(action="run.paused").reason == "busy"


def test_the_list_shows_runs_and_says_how_to_begin_one(erp: Subscriber) -> None:
    vera = a_viewer()
    assert "Load history, or Replay." in words(vera.get("/admin/router/run/"))
    a_run(erp)
    page = words(vera.get(f"/admin/router/run/?subscriber={erp.pk}"))
    assert "Backfill 1" in page
    assert "0 %" in page


def statements(client: Client, address: str) -> int:
    client.get(address)
    with CaptureQueriesContext(connection) as seen:
        client.get(address)
    return len(seen)


def test_more_runs_and_events_cost_no_more_statements(erp: Subscriber) -> None:
    run, vera = a_run(erp, rate_per_second=1), a_viewer()
    publish("ticket.sold", {}, source="/box")
    route_batch()
    pages = [
        url("run_change", run),
        "/admin/router/run/",
        url("subscriber_change", erp),
    ]
    before = [statements(vera, page) for page in pages]
    for _ in range(3):
        begin_run(erp, RunRequest(kind="replay"), by="test")
    for _ in range(5):
        publish("ticket.sold", {}, source="/box")
    route_batch()
    assert [statements(vera, page) for page in pages] == before


START = {"name": "crm", "transport": "pull", "events": "*", "allowed_types": "*",
         "allowed_sources": "*"}  # fmt: skip


@pytest.fixture
def manager(db: None) -> Client:
    client = a_person("maria")
    User.objects.update(is_superuser=True)
    return client


@pytest.mark.parametrize(
    ("sent", "first"),
    [
        ({}, None),
        ({"start": "now"}, None),
        ({"start": "beginning"}, 1),
        ({"start": "time", "start_time": "2026-01-01T00:00"}, 1),
    ],
)
def test_a_subscriber_is_created_to_start_where_it_says(
    manager: Client, sent: dict[str, str], first: int | None
) -> None:
    answer = manager.post("/admin/router/subscriber/add/", {**START, **sent})
    assert answer.status_code == 302, words(answer)
    runs = Run.objects.filter(subscriber__name="crm").values_list("start", flat=True)
    assert list(runs) == ([] if first is None else [first - 1])


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        ({"start": "time"}, "Say since when."),
        ({"start": "time", "start_time": "2999-01-01T00:00"}, "not come yet"),
        ({"start": "yesterday"}, "Select a valid choice."),
    ],
)
def test_a_start_that_is_none_is_refused(
    manager: Client, sent: dict[str, str], problem: str
) -> None:
    answer = manager.post("/admin/router/subscriber/add/", {**START, **sent})
    assert problem in words(answer)
    assert not Subscriber.objects.filter(name="crm").exists()
