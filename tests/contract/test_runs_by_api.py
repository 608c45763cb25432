"""Backfills and replays over HTTP: begun, previewed, watched, changed, cancelled."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from router.models import (
    Acknowledgement,
    AuditEntry,
    Cursor,
    Delivery,
    EventRecord,
    Run,
    RunState,
    Subscriber,
)
from router.observe import run_progress
from router.observe.run_progress import progress_of
from router.operate.subscribers import create_subscriber
from router.public import Event, publish, subscriber
from router.registry import isolated
from router.testing import deliver_due, register_declared
from tests.contract.steps import TYPE, publish_and_route
from tests.integration.api import a_key, assert_problem, pointers, send
from tests.integration.rows import a_delivery, a_failed_task

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]
RUNS = "subscribers/erp/runs/"


@pytest.fixture(autouse=True)
def log() -> None:
    """Ten events, one of another type, that no subscriber was there for."""
    Subscriber.objects.all().delete()
    publish_and_route(9)
    publish("other.thing", {}, source="/test")
    deliver_due()


def call(
    method: str, path: str, body: Any = None, scope: str = "manage", **bindings: Any
) -> Any:
    key = a_key(scope, **bindings)
    return send(Client(), method, path, body, key=key)


def create(**fields: Any) -> Any:
    body = {"name": "erp", "transport": "pull", "events": [TYPE], **fields}
    return call("POST", "subscribers/", body)


def begin(**fields: Any) -> dict[str, Any]:
    response = call("POST", RUNS, {"kind": "replay", **fields})
    assert response.status_code == 201, response.content
    shown: dict[str, Any] = response.json()
    return shown


def test_a_subscriber_is_created_with_all_of_history() -> None:
    assert create(**{"from": "beginning"}).status_code == 201

    [shown] = call("GET", RUNS).json()["results"]
    assert (shown["id"], shown["kind"], shown["state"]) == (1, "backfill", "active")
    assert (shown["from"], shown["end"], shown["types"]) == (1, 10, [TYPE])
    assert shown["requested_by"].startswith("key key ")


@pytest.mark.parametrize(
    ("place", "first"),
    [
        ({"position": 4}, 4),
        ({"position": 4.0}, 4),
        ({"position": 11}, None),
        ({"time": "2020-01-01T00:00:00Z"}, 1),
    ],
)
def test_a_subscriber_is_created_from_a_place(place: Any, first: int | None) -> None:
    assert create(**{"from": place}).status_code == 201
    runs = call("GET", RUNS).json()["results"]
    assert [run["from"] for run in runs] == ([first] if first else [])


@pytest.mark.parametrize(
    "place",
    [
        "yesterday",
        {"position": 12},
        {"position": 1.5},
        {"position": "1"},
        {"position": 10**30},
        {"time": "2026-02-30T00:00:00Z"},
        {"time": "2999-01-01T00:00:00Z"},
        {"position": 1, "time": "2026-02-03T04:05:06Z"},
        {},
        None,
        7,
    ],
)
def test_a_place_that_is_none_is_named_by_its_pointer(place: Any) -> None:
    assert pointers(create(**{"from": place})) == ["/from"]
    assert not Subscriber.objects.exists()


def test_a_backfill_is_begun_and_watched() -> None:
    create()
    body = {"kind": "backfill", "from": {"position": 3}, "reason": "it came late"}

    begun = call("POST", RUNS, body)

    assert begun.status_code == 201
    shown = begun.json()
    assert call("GET", f"{RUNS}1/").json() == shown
    assert shown.pop("created_at")
    assert shown.pop("requested_by")
    assert shown == {
        "id": 1,
        "kind": "backfill",
        "state": "active",
        "from": 3,
        "end": 10,
        "types": [TYPE],
        "filter": None,
        "only_failed": False,
        "events": None,
        "rate_per_second": None,
        "count": 0,
        "digest": "0000000000000000",
        "reason": "it came late",
        "finished_at": None,
        "position": 2,
        "remaining_events": 7,
        "is_estimate": False,
        "open_deliveries": 0,
        "open_failed_tasks": 0,
        "rate": None,
        "remaining_seconds": None,
    }
    noted = AuditEntry.objects.get(action="run.begun")
    assert (noted.target, noted.reason) == ("run 1 of subscriber erp", "it came late")


def test_a_second_backfill_is_a_conflict() -> None:
    create(**{"from": "beginning"})
    refused = assert_problem(call("POST", RUNS, {"kind": "backfill"}), 409)
    assert "under way" in refused["detail"]


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"kind": "rewind"}, "/kind"),
        ({"from": {"position": 12}}, "/from"),
        ({"from": {"position": 8}, "until": {"position": 3}}, "/until"),
        ({"until": "beginning"}, "/until"),
        ({"types": []}, "/types"),
        ({"types": ["a*b"]}, "/types/0"),
        ({"filter": {"exakt": {}}}, "/filter"),
        ({"filter": {"sql": "subject LIKE 7"}}, "/filter/sql"),
        ({"events": []}, "/events"),
        ({"events": [0]}, "/events/0"),
        ({"events": [10**9]}, "/events"),
        ({"events": [1], "only_failed": True}, "/events"),
        ({"rate_per_second": 0}, "/rate_per_second"),
        ({"rate_per_second": "fast"}, "/rate_per_second"),
        ({"reason": "x" * 301}, "/reason"),
        ({"dryrun": True}, "/dryrun"),
        ({"kind": "backfill", "until": {"position": 3}}, "/until"),
        ({"kind": "backfill", "only_failed": True}, "/only_failed"),
        ({"kind": "backfill", "events": [1]}, "/events"),
    ],
)
@pytest.mark.parametrize("is_dry", [True, False])
def test_what_is_wrong_is_named_by_its_pointer(
    wrong: dict[str, Any], pointer: str, is_dry: bool
) -> None:
    create()
    refused = call("POST", RUNS, {"kind": "replay", "dry_run": is_dry, **wrong})
    assert pointer in pointers(refused)
    assert not Run.objects.exists()


def test_a_dry_run_answers_with_the_preview_and_begins_nothing() -> None:
    create()
    wanted = {"types": [TYPE, "other.*"], "until": {"position": 10}}
    asked = {"kind": "replay", "dry_run": True, "rate_per_second": 2, **wanted}

    preview = call("POST", RUNS, asked)

    assert preview.status_code == 200
    shown = preview.json()
    assert shown.pop("first_at") <= shown.pop("last_at")
    assert [event["position"] for event in shown.pop("first_events")] == [*range(1, 11)]
    assert shown == {
        "kind": "replay",
        "from": 1,
        "end": 10,
        "count": 10,
        "is_more": False,
        "types": {TYPE: 9, "other.thing": 1},
        "seconds": 5.0,
        "needs_confirmation": False,
    }
    assert not Run.objects.exists()


def test_a_handler_that_is_not_idempotent_needs_to_be_confirmed() -> None:
    with isolated():

        @subscriber("erp", events=[TYPE])
        def erp(event: Event) -> None:
            pass

        register_declared()
        asked = {"kind": "replay"}
        preview = call("POST", RUNS, {**asked, "dry_run": True}).json()
        assert preview["needs_confirmation"]
        refused = assert_problem(call("POST", RUNS, asked), 409)
        assert "is_idempotent=True" in refused["detail"]
        assert begin(confirm=True)["state"] == "active"


def test_a_run_is_paused_resumed_and_throttled() -> None:
    create()
    begin(rate_per_second=5)
    path = f"{RUNS}1/"

    paused = call("PATCH", path, {"state": "paused", "reason": "the ERP is busy"})
    assert paused.status_code == 200, paused.content
    assert (paused.json()["state"], paused.json()["rate_per_second"]) == ("paused", 5)
    assert_problem(call("PATCH", path, {"state": "paused"}), 409)
    changed = call("PATCH", path, {"state": "active", "rate_per_second": None}).json()
    assert (changed["state"], changed["rate_per_second"]) == ("active", None)
    assert pointers(call("PATCH", path, {"state": "complete"})) == ["/state"]
    assert pointers(call("PATCH", path, {"rate_per_second": 0})) == ["/rate_per_second"]
    noted = AuditEntry.objects.get(action="run.paused")
    assert noted.reason == "the ERP is busy"


def test_two_changes_of_one_call_are_made_together_or_not_at_all() -> None:
    create()
    begin()
    change = {"rate_per_second": 7, "state": "active"}
    assert_problem(call("PATCH", f"{RUNS}1/", change), 409)
    assert Run.objects.get().rate_per_second is None


def test_a_run_is_cancelled_once() -> None:
    create()
    begin()
    assert call("DELETE", f"{RUNS}1/?reason=enough").status_code == 204
    shown = call("GET", f"{RUNS}1/").json()
    assert (shown["state"], shown["remaining_events"]) == ("cancelled", 0)
    assert shown["finished_at"]
    assert_problem(call("DELETE", f"{RUNS}1/"), 409)
    assert AuditEntry.objects.get(action="run.cancelled").reason == "enough"


def test_runs_are_listed_the_newest_first_in_pages() -> None:
    create()
    for _ in range(3):
        begin()
    page = call("GET", f"{RUNS}?page_size=2").json()
    assert [run["id"] for run in page["results"]] == [3, 2]
    rest = call("GET", f"{RUNS}?page_size=2&cursor={page['next']}").json()
    assert [run["id"] for run in rest["results"]] == [1]


def test_what_is_not_there_is_not_found() -> None:
    assert_problem(call("GET", RUNS), 404)
    create()
    refused = assert_problem(call("GET", f"{RUNS}7/"), 404)
    assert "no run 7" in refused["detail"]


def test_a_key_of_less_may_not_replay_what_it_may_not_receive() -> None:
    create()
    bound = {"types": ["parcel.*"], "sources": ["*"], "subscribers": ["erp"]}
    assert_problem(call("POST", RUNS, {"kind": "replay"}, **bound), 403)
    assert_problem(call("GET", RUNS, **bound), 403)
    assert not Run.objects.exists()


def test_a_subscriber_that_is_deleted_in_the_middle_takes_its_run_along() -> None:
    for name in ("erp", "crm"):
        assert create(name=name, **{"from": "beginning"}).status_code == 201
    deliver_due()
    leased = pull("erp", most=2)

    assert call("DELETE", "subscribers/erp/").status_code == 204

    deliver_due()
    states = dict(Run.objects.values_list("subscriber__name", "state"))
    assert states == {"erp": "cancelled", "crm": "active"}
    assert_problem(call("GET", RUNS), 404)
    assert_problem(call("POST", "subscribers/erp/pull/", {"max": 1}, "consume"), 404)
    late = call("POST", "deliveries/ack/", {"deliveries": leased}, "consume")
    assert {entry["status"] for entry in late.json()["results"]} == {409}
    assert not Delivery.objects.open().filter(subscriber__name="erp").exists()
    assert len(pull("crm", most=100)) == 9


def pull(name: str, *, most: int) -> list[dict[str, Any]]:
    """The leases of what is pulled."""
    pulled = call("POST", f"subscribers/{name}/pull/", {"max": most}, "consume")
    rows = pulled.json()["deliveries"]
    return [{key: row[key] for key in ("id", "lease_token")} for row in rows]


@pytest.fixture
def run() -> Run:
    """A backfill of `erp` over the ten events, half way through."""
    create_subscriber("erp", by="t", transport="pull", events=["*"], start="beginning")
    Cursor.objects.filter(run=1).update(position=5)
    Run.objects.update(count=5)
    return Run.objects.get()


def owed(run: Run, position: int, state: str, **fields: Any) -> Delivery:
    event = EventRecord.objects.get(position=position)
    return a_delivery(event, run.subscriber, state, run=run.number, **fields)


def test_the_progress_of_a_run_counts_what_is_left(run: Run) -> None:
    owed(run, 4, "PENDING")
    a_failed_task(owed(run, 5, "DEAD"))
    seen = progress_of(run)
    assert (seen.position, seen.fraction) == (5, 0.4), "of five given one is open"
    assert (seen.remaining_events, seen.is_estimate) == (6, False)
    assert (seen.open_deliveries, seen.open_failed_tasks) == (1, 1)


def test_a_run_of_what_was_given_up_counts_the_open_failed_tasks(run: Run) -> None:
    for position, fields in ((7, {}), (8, {"state": "discarded"}), (9, {})):
        a_failed_task(owed(run, position, "DEAD"), **fields)
    run.only_failed = True

    assert progress_of(run).remaining_events == 2


def test_the_speed_is_that_of_lately(run: Run) -> None:
    assert progress_of(run).rate is None
    now = timezone.now()
    cursor = Cursor.objects.get(run=run.number)
    long_ago = now - timezone.timedelta(minutes=2)
    for last, count, at in ((2, 2, long_ago), (4, 2, now)):
        Acknowledgement.objects.create(
            cursor=cursor, first=last - 1, last=last, count=count, acknowledged_at=at
        )
    owed(run, 5, "ACKNOWLEDGED", acknowledged_at=now - timezone.timedelta(seconds=10))
    seen = progress_of(run)
    assert seen.rate == pytest.approx(0.3, rel=0.1)
    assert seen.remaining_seconds == pytest.approx(5 / 0.3, rel=0.1)
    Run.objects.update(state=RunState.PAUSED)
    run.refresh_from_db()
    assert progress_of(run).remaining_seconds is None


def test_a_long_log_is_looked_at_in_part(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_progress, "LOOK", 2)
    seen = progress_of(run)
    assert (seen.remaining_events, seen.is_estimate) == (5, True)


def test_chosen_events_and_failed_ones_are_counted_alone(run: Run) -> None:
    numbers = EventRecord.objects.filter(position__in=(2, 7, 9)).values_list("number")
    run.chosen = [number for (number,) in numbers]
    assert progress_of(run).remaining_events == 2
    run.chosen, run.only_failed = None, True
    a_failed_task(owed(run, 8, "DEAD"))
    assert progress_of(run).remaining_events == 1


def test_the_progress_costs_so_many_statements(run: Run) -> None:
    for state, count in ((RunState.ACTIVE, 6), (RunState.COMPLETE, 3)):
        run.state = state
        with CaptureQueriesContext(connection) as seen:
            progress_of(run)
        assert len(seen) == count, [query["sql"] for query in seen.captured_queries]


def test_the_list_costs_as_much_for_many_runs_as_for_one() -> None:
    create()
    key = a_key("manage", **{})
    counts = []
    for number in (1, 4):
        while Run.objects.count() < number:
            begin(reason=uuid4().hex)
        with CaptureQueriesContext(connection) as seen:
            send(Client(), "GET", RUNS, key=key)
        counts.append(len(seen))
    assert counts[0] == counts[1]
