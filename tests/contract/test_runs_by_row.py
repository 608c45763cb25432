"""Runs of subscribers that are served row by row: each event once, then live."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from router.contract.digest import digest_of
from router.flow.cursor import filling
from router.flow.publish.publishing import publish_notice
from router.flow.pull import settling
from router.flow.route import run_windows
from router.flow.route.run_windows import fill_runs, finish_runs
from router.models import (
    Cursor,
    Delivery,
    DeliveryState,
    EventRecord,
    FailedTask,
    Run,
    RunKind,
    RunState,
    Subscriber,
)
from router.operate.interventions import skip
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run, cancel_run, pause_run, resume_run, set_rate
from router.operate.subscribers import (
    create_subscriber,
    edit_subscriber,
)
from router.public import publish
from router.testing import is_settled, route
from tests.contract.steps import (
    TYPE,
    ack,
    leases,
    publish_and_route,
    publish_events,
    say,
    take,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten events, and a window of four deliveries for a run."""
    monkeypatch.setattr(run_windows, "RUN_WINDOW", 4)
    Subscriber.objects.all().delete()
    publish_and_route(10)


def create(start: Any = "now", **fields: Any) -> Subscriber:
    wanted = {"transport": "pull", "events": [TYPE], **fields}
    return create_subscriber("erp", by="user ada", start=start, **wanted).subscriber


def replay(row: Subscriber, **options: Any) -> Run:
    return begin_run(row, RunRequest(kind=RunKind.REPLAY, **options), by="user ada")


def pull_all(subscriber: Subscriber) -> list[Delivery]:
    """Everything that comes, acknowledged."""
    pulled: list[Delivery] = []
    for _ in range(50):
        route()
        batch = take(subscriber)
        assert batch or not Delivery.objects.due().exists()
        ack(batch)
        pulled += batch
        if is_settled():
            return pulled
    raise AssertionError("Something is still owed.")


def positions(pulled: list[Delivery]) -> list[int | None]:
    return [row.event.position for row in pulled]


def reject(subscriber: Subscriber) -> None:
    """Give up the next event."""
    [row] = take(subscriber, most=1)
    Delivery.objects.filter(pk=row.pk).update(lease_token=None, state="PENDING")
    skip(row.pk, by="test")


def test_all_of_history_then_live_each_once() -> None:
    row = create("beginning")
    publish_and_route(3)
    pulled = pull_all(row)
    assert Counter(positions(pulled)) == Counter(range(1, 14))
    origins = {each.event.position: each.origin for each in pulled}
    assert [origins[at] for at in range(1, 14)] == ["backfill"] * 10 + ["live"] * 3


def test_a_run_owns_a_small_window_and_its_cursor_waits() -> None:
    create("beginning")
    route()
    route()
    assert Delivery.objects.count() == 4
    assert Run.objects.with_position().get().position == 4


def test_a_puller_gets_a_run_without_a_dispatcher_and_not_while_it_is_paused() -> None:
    row = create("beginning")
    pulled = list(take(row))
    ack(pulled)
    run = Run.objects.get()
    pause_run(run.pk, by="user ada")
    assert not take(row)
    resume_run(run.pk, by="user ada")
    while batch := take(row):
        ack(batch)
        pulled += batch
    assert positions(pulled) == list(range(1, 11))


def test_a_puller_gets_as_many_of_a_run_as_it_takes_at_once() -> None:
    """More than the window of a run, part of which the dispatcher has filled."""
    row = create("beginning")
    route()
    assert positions(list(take(row))) == list(range(1, 11))


def test_a_puller_gets_no_more_of_a_run_than_the_window(settings: Any) -> None:
    settings.ROUTER = {**settings.ROUTER, "WINDOW": 6}
    assert positions(list(take(create("beginning")))) == list(range(1, 7))


def test_the_end_is_told_with_count_and_digest() -> None:
    row = create("beginning")
    pull_all(row)
    run = Run.objects.get()
    assert (run.state, run.count) == (RunState.COMPLETE, 10)
    names = list(
        EventRecord.objects.filter(type=TYPE).values_list("source", "event_id")
    )
    notice = EventRecord.objects.get(type="router.backfill.completed")
    data = dict(notice.data)
    assert data.pop("seconds") >= 0
    assert data.pop("began_at")
    assert data == {
        "subscriber": {"name": "erp", "title": "erp"},
        "run": 1,
        "kind": "backfill",
        "first": 1,
        "last": 10,
        "count": 10,
        "digest": f"{digest_of(names):016x}",
    }
    assert not Cursor.objects.get(run=1).is_behind


def test_what_is_open_keeps_a_run_open() -> None:
    row = create({"position": 8})
    route()
    batch = take(row)
    assert finish_runs() == 0
    ack(batch[:-1])
    assert finish_runs() == 0
    ack(batch[-1:])
    assert finish_runs() == 1
    assert finish_runs() == 0


def test_a_run_over_nothing_is_complete() -> None:
    row = create()
    replay(row, events=["other.thing"])
    replay(row, start="now")
    assert pull_all(row) == []
    assert {run.state for run in Run.objects.all()} == {RunState.COMPLETE}
    notices = EventRecord.objects.filter(type="router.backfill.completed")
    assert [each.data["count"] for each in notices] == [0, 0]


def test_a_replay_is_of_its_own_types_and_filter() -> None:
    row = create(events=["other.*", TYPE])
    for n in range(3):
        publish("other.thing", {"n": n}, subject=f"s{n}")
    pull_all(row)
    wanted = {"events": ["other.*"], "filter": {"exact": {"subject": "s1"}}}
    replay(row, **wanted)
    pulled = pull_all(row)
    assert [each.event.data for each in pulled] == [{"n": 1}]
    assert pulled[0].origin == "replay"


def test_a_replay_skips_what_is_open_or_given_up() -> None:
    row = create()
    publish_and_route(3)
    reject(row)
    [open_one] = take(row, most=1)
    ack(take(row))
    replay(row, start={"position": 11})
    route()
    assert positions(list(Delivery.objects.filter(run=1))) == [13]
    ack([open_one])


def test_only_what_failed_is_retried() -> None:
    row = create()
    publish_and_route(4)
    reject(row)
    reject(row)
    ack(take(row))
    run = replay(row, only_failed=True)
    assert positions(pull_all(row)) == [11, 12]
    run.refresh_from_db()
    assert (run.state, run.count) == (RunState.COMPLETE, 2)
    assert {each.settled_by_name for each in FailedTask.objects.all()} == {"user ada"}
    assert Delivery.objects.filter(run=1).count() == 0


def test_chosen_events_and_no_other_come_again() -> None:
    row = create()
    publish_and_route(5)
    pull_all(row)
    chosen = EventRecord.objects.filter(position__in=(12, 15))
    replay(row, chosen=[event.number for event in chosen])
    assert positions(pull_all(row)) == [12, 15]


def test_a_test_event_is_no_part_of_a_run() -> None:
    row = create()
    other = create_subscriber("crm", by="test", transport="pull", events=["*"])
    publish_notice("router.test", {}, only_for=row.pk)
    publish_notice("router.test", {}, only_for=other.subscriber.pk)
    route()
    ack(take(row))
    replay(row, start={"position": 11}, events=["*"])
    route()
    assert not Delivery.objects.filter(run=1).exists()


def test_live_events_pass_a_paused_run() -> None:
    row = create("beginning")
    run = Run.objects.get()
    pause_run(run.pk, by="test")
    publish_and_route(2)
    route()
    batch = take(row)
    assert positions(list(batch)) == [11, 12]
    ack(batch)
    resume_run(run.pk, by="test")
    assert sorted(filter(None, positions(pull_all(row)))) == list(range(1, 11))


def test_a_rate_is_kept() -> None:
    create("beginning")
    set_rate(Run.objects.get().pk, 8, by="test")
    assert fill_runs() == 2
    assert fill_runs() == 0
    Run.objects.update(next_at="2020-01-01T00:00:00Z")
    assert fill_runs() == 2


def test_cancelling_cancels_what_is_open_and_nothing_else() -> None:
    row = create("beginning")
    route()
    ack(take(row, most=1))
    publish_and_route(1)
    cancel_run(Run.objects.get().pk, by="test")
    states = Counter(Delivery.objects.filter(run=1).values_list("state", flat=True))
    assert states == {DeliveryState.ACKNOWLEDGED: 1, DeliveryState.CANCELLED: 3}
    assert positions(pull_all(row)) == [11]
    assert Run.objects.with_position().get().position == 4


def test_an_ordered_subscriber_gets_the_past_in_order_then_live() -> None:
    row = _ordered("beginning")
    publish(TYPE, {"n": 99}, partitionkey="a")
    pulled = pull_all(row)
    by_key = {
        key: [each.event.position for each in pulled if each.ordering_key == key]
        for key in ("a", "b")
    }
    assert by_key == {"a": [11, 13, 15, 17], "b": [12, 14, 16]}
    origins = {each.event.position: each.origin for each in pulled}
    assert (origins[1], origins[16], origins[17]) == ("backfill", "backfill", "live")


def test_order_holds_within_a_replay_and_not_across() -> None:
    row = _ordered("now")
    publish(TYPE, {}, partitionkey="a")
    route()
    replay(row, start={"position": 11}, until={"position": 16})
    route()
    batch = take(row)
    # The live one, and the first of each key of the run.
    assert sorted(filter(None, positions(list(batch)))) == [11, 12, 17]
    ack(batch)
    rest = [each for each in pull_all(row) if each.ordering_key == "a"]
    assert positions(rest) == [13, 15]


def test_a_dead_event_of_a_replay_holds_its_key_until_it_is_retried() -> None:
    row = _ordered("now")
    replay(row, start={"position": 11})
    route()
    reject_of_run = Delivery.objects.get(run=1, event__position=11)
    Delivery.objects.filter(pk=reject_of_run.pk).update(state="DEAD", attempts=1)
    FailedTask.objects.create(
        delivery=reject_of_run,
        event=reject_of_run.event,
        subscriber=row,
        reason="EXHAUSTED",
        attempts=1,
        opened_at=reject_of_run.created_at,
    )
    for _ in range(5):
        route()
        ack(take(row))
    assert Delivery.objects.held().get(event__position=13).run == 1
    replay(row, start={"position": 11}, only_failed=True)
    pulled = [each for each in pull_all(row) if each.ordering_key == "a"]
    assert positions(pulled) == [11, 13, 15]


def _ordered(start: Any) -> Subscriber:
    """With the events 11 to 16, of the keys a and b in turn."""
    for n in range(6):
        publish(TYPE, {"n": n}, partitionkey="ab"[n % 2])
    route()
    return create(start, ordering="key")


def test_switching_the_transport_keeps_a_run(settings: Any) -> None:
    row = create("beginning")
    route()
    edit_subscriber(row, by="test", transport="webhook", url="https://example.com/")
    edit_subscriber(row, by="test", transport="pull", url="")
    assert Counter(positions(pull_all(row))) == Counter(range(1, 11))


def test_filling_costs_the_same_however_much_history_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_windows, "RUN_WINDOW", 200)
    monkeypatch.setattr(filling, "STEP", 60)
    create("beginning")
    with CaptureQueriesContext(connection) as small:
        assert fill_runs() == 10
    publish_events(50)
    route()
    row = Subscriber.objects.get(name="erp")
    ack(take(row, most=100))
    replay(row)
    Run.objects.filter(number=1).update(state=RunState.COMPLETE)
    with CaptureQueriesContext(connection) as large:
        assert fill_runs() > 10
    assert len(large) == len(small)


def test_a_nack_of_a_run_comes_again() -> None:
    row = create({"position": 10})
    route()
    say(settling.nack, leases(take(row), seconds=0))
    assert positions(pull_all(row)) == [10]


def test_a_run_that_fills_the_subscriber_gives_the_notice_once(settings: Any) -> None:
    settings.ROUTER = {**settings.ROUTER, "MAX_OPEN": 8}
    row = create("beginning")
    for _ in range(4):
        fill_runs()
        say(settling.nack, leases(take(row), seconds=3600))

    assert Delivery.objects.open().count() == 8
    notice = EventRecord.objects.get(type="router.subscriber.full")
    assert notice.data["open_count"] == 8
    assert notice.subject == "erp"
