"""Import: facts from before the router, each once, and before all live events."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from router.contract.digest import digest_of
from router.contract.errors import DoesNotApply, InvalidRun
from router.flow.cursor import filling, reading, runs_in_stream
from router.flow.dispatch.ring import RunsWaiting
from router.flow.held_notices import HELD, notify_holders
from router.flow.prune import Walk
from router.flow.route import run_windows
from router.flow.route.run_windows import fill_runs
from router.flow.route.streaming import start_waiting_streams
from router.flow.route.window import fill_windows
from router.models import (
    Cursor,
    Delivery,
    EventRecord,
    LogHead,
    Origin,
    Run,
    RunKind,
    RunState,
    Subscriber,
)
from router.models.gap import BEFORE_IMPORTS, MIN_IMPORT_POSITION
from router.observe.digests import window_of
from router.observe.explain.case import Verdict
from router.observe.explain.explaining import explain
from router.observe.run_progress import progress_of
from router.operate import importing
from router.operate.importing import close_import
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.operate.subscribers import create_subscriber
from router.public import Event, publish, subscriber
from router.registry import isolated
from router.testing import deliver_due, is_settled, register_declared, route
from tests.contract import past_facts
from tests.contract.past_facts import (
    HISTORY,
    SOURCE,
    fact,
    given,
    imported,
    positions,
    stop_midway,
)
from tests.contract.run_steps import Handler, declare, drain
from tests.contract.steps import TYPE, ack, publish_and_route, statements, take

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("past"),
]


def a_handler(**options: Any) -> tuple[Handler, Subscriber]:
    handler = Handler()
    return handler, declare(handler, **options)


def a_puller(**fields: Any) -> Subscriber:
    fields = {"transport": "pull", "events": [TYPE], "start": "beginning", **fields}
    return create_subscriber("erp", by="test", **fields).subscriber


def pulled(row: Subscriber) -> list[int]:
    """Pull and acknowledge until there is nothing; `n` of each event."""
    got: list[int] = []
    for _ in range(20):
        route()
        batch = take(row, most=3)
        got += [delivery.event.to_event().data["n"] for delivery in batch]
        ack(batch)
    return got


def test_each_fact_is_recorded_once_by_its_time() -> None:
    first = imported(2, 0, 1)
    assert (first.recorded, first.known) == (3, 0)
    again = imported(3)
    assert (again.recorded, again.known) == (1, 3)
    assert positions() == [MIN_IMPORT_POSITION + place for place in range(4)]
    head = LogHead.objects.get()
    assert (head.position, head.imported) == (0, positions()[-1])
    assert not head.is_import_open
    assert MIN_IMPORT_POSITION == -9_007_199_254_740_991


def test_what_was_published_is_not_imported_again() -> None:
    publish(TYPE, {"n": 1, "by": "another body"}, source=SOURCE, id="past-1")
    outcome = imported(0, 1, 2)
    assert (outcome.recorded, outcome.known) == (2, 1)
    assert not publish(TYPE, {"n": 0}, **_envelope(0)).is_new


def _envelope(n: int) -> dict[str, Any]:
    keyed = fact(n, partitionkey="ab"[n % 2])
    return {"source": SOURCE, **{k: v for k, v in keyed.items() if k != "data"}}


def test_facts_of_several_types_are_mixed_by_their_times(settings: Any) -> None:
    other = {"other.thing": f"{past_facts.__name__}.others"}
    settings.ROUTER = {**settings.ROUTER, "HISTORY": {**HISTORY, **other}}
    outcome = imported(0, 2, 4, types=(TYPE, "other.thing"))
    assert outcome.recorded == 6
    ids = EventRecord.objects.filter(position__lt=0).order_by("position")
    assert list(ids.values_list("event_id", flat=True)) == [
        "past-0", "other-1", "past-2", "other-3", "past-4", "other-5",
    ]  # fmt: skip


def test_an_import_costs_the_same_statements_whatever_the_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    LogHead.objects.get_or_create(pk=1)
    imported(0)
    few = statements(lambda: imported(*range(1, 3)))
    many = statements(lambda: imported(*range(3, 200)))
    assert many == few
    monkeypatch.setattr(importing, "STEP", 10)
    looks = statements(imported) - statements(lambda: imported(types=()))
    assert looks == 20


def test_a_fact_that_is_refused_does_not_keep_the_others_out() -> None:
    given[:] = [
        fact(0),
        fact(1, id=""),
        fact(2, type="other.thing"),
        fact(3, subject=3),
    ]
    given.append(fact(4))
    outcome = imported()
    assert (outcome.recorded, outcome.refused) == (2, 3)
    assert all(TYPE in words for words in outcome.refusals)
    assert not LogHead.objects.get().is_import_open


def test_who_is_there_gets_none_and_who_begins_with_history_gets_all() -> None:
    there = a_puller(start="now")
    imported(*range(5))
    publish_and_route(2)
    assert pulled(there) == [0, 1]
    handler, _ = a_handler()
    publish_and_route(1)
    assert pulled(there) == [0]
    drain()
    assert sorted(handler.got) == [0, 0, 0, 1, 1, 2, 3, 4]
    run = Run.objects.get()
    assert (run.state, run.count) == (RunState.COMPLETE, 7)
    names = EventRecord.objects.filter(type=TYPE).order_by("number")
    assert run.digest == digest_of(names.values_list("source", "event_id")[:7])


@pytest.mark.parametrize("ordering", ["none", "key"])
def test_a_puller_from_the_beginning_gets_imports_then_live(
    ordering: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filling, "STEP", 3)
    monkeypatch.setattr(run_windows, "RUN_WINDOW", 4)
    publish_and_route(2)
    imported(*range(10, 17))
    row = a_puller(ordering=ordering)
    publish_and_route(1)
    got = pulled(row)
    assert sorted(got) == [0, 0, 1, *range(10, 17)]
    if ordering == "key":
        evens = [n for n in got if n >= 10 and n % 2 == 0]
        assert evens == sorted(evens)
        # Events of other keys may overtake each other, once they have deliveries.
        given = Delivery.objects.order_by("pk").values_list("event__position")
        assert list(given) == sorted(given)
    of_past = Delivery.objects.filter(event__source=SOURCE)
    assert set(of_past.values_list("origin", flat=True)) == {Origin.BACKFILL}


def test_a_fresh_log_of_imports_alone_is_enough() -> None:
    imported(*range(3))
    assert pulled(a_puller()) == [0, 1, 2]
    assert is_settled()


def test_no_cursor_crosses_while_the_import_is_open() -> None:
    publish_and_route(4)
    stop_midway(1, 2, 3)
    handler, _ = a_handler()
    deliver_due()
    stop_midway(0)
    deliver_due()
    assert sorted(handler.got) == [0, 1, 2, 3]
    run = Run.objects.get()
    assert (run.state, progress_of(run).fraction) == (RunState.ACTIVE, 0.5)
    imported(4)
    drain()
    assert sorted(handler.got) == [0, 0, 1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("ordering", ["none", "key"])
def test_a_cursor_of_rows_waits_where_an_open_import_ends(ordering: str) -> None:
    publish_and_route(1)
    stop_midway(1, 2)
    row = a_puller(ordering=ordering)
    assert pulled(row) == [1, 2]
    stop_midway(3)
    assert pulled(row) == [3]
    close_import(by="test")
    assert pulled(row) == [0]


def test_nothing_is_tried_at_the_end_of_an_open_import() -> None:
    stop_midway(0, 1)
    publish_and_route(1)
    _, row = a_handler()
    puller = a_puller(ordering="key")
    pulled(puller)
    deliver_due()
    runs_in_stream.look_again()
    assert not RunsWaiting().due(but=())
    assert statements(fill_windows) == statements(fill_runs) == 1
    close_import(by="test")
    route()
    assert [each.pk for each in RunsWaiting().due(but=())] == [row.pk]


def test_a_claim_reads_to_the_end_of_the_imports(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported(0, 1)
    publish_and_route(1)
    _, row = a_handler(events=["other.thing"])
    run = Run.objects.get()
    chunk = reading.next_chunk(row.pk, run=run)
    assert chunk is not None
    assert (chunk.events, chunk.until, chunk.has_more) == ((), positions()[-1], False)
    again = reading.next_chunk(row.pk, run=run)
    assert again is not None
    assert again.until == positions()[-1]


def test_what_is_imported_later_is_not_taken_for_acknowledged() -> None:
    imported(0, 1)
    handler, row = a_handler()
    publish_and_route(1)
    drain()
    imported(2, 3)
    late = EventRecord.objects.get(event_id="past-3")
    explained = explain(late, row)
    assert explained.verdict == Verdict.BEFORE_SUBSCRIBER
    assert "was imported" in explained.sentence
    assert explained.evidence["event"]["is_imported"]
    early = EventRecord.objects.get(event_id="past-1")
    assert explain(early, row).verdict == Verdict.ACKNOWLEDGED
    assert window_of(row).count == 2

    request = RunRequest(kind=RunKind.BACKFILL)
    begin_run(row, request, by="test")
    drain()
    assert sorted(handler.got) == [0, 0, 1, 2, 3]
    assert explain(late, row).verdict == Verdict.ACKNOWLEDGED
    with pytest.raises(DoesNotApply, match="has had"):
        begin_run(row, request, by="test")


def test_the_digest_covers_imports_and_then_live_events() -> None:
    imported(*range(3))
    publish_and_route(2)
    row = a_puller()
    pulled(row)
    imports = window_of(row)
    assert (imports.first, imports.last) == (positions()[0], positions()[-1])
    past = EventRecord.objects.filter(source=SOURCE).values_list("source", "event_id")
    assert (imports.count, imports.digest) == (3, digest_of(past))
    live = window_of(row, first=imports.last + 1, last=imports.last + 20_000)
    assert (live.first, live.last, live.count) == (1, live.position, 2)
    other = create_subscriber("crm", by="test", transport="pull", events=[TYPE])
    assert window_of(other.subscriber).first == 1


def test_a_start_by_time_goes_by_the_times_of_the_facts() -> None:
    imported(*range(6))
    publish_and_route(2)
    since = {"time": past_facts.BEGAN_AT + past_facts.timedelta(days=3)}
    assert sorted(pulled(a_puller(start=since))) == [0, 1, 3, 4, 5]
    row = Subscriber.objects.get(name="erp")
    until = {"time": past_facts.BEGAN_AT + past_facts.timedelta(days=2)}
    replay = RunRequest(kind=RunKind.REPLAY, until=until)
    begin_run(row, replay, by="test")
    assert pulled(row) == [0, 1]
    assert is_settled()
    today = RunRequest(kind=RunKind.REPLAY, start={"time": timezone.now()})
    assert begin_run(row, today, by="test").start == LogHead.objects.get().position
    between = {"from": "2020-02-01", "until": "2020-02-02"}
    times = {name: {"time": f"{day}T00:00:00Z"} for name, day in between.items()}
    nothing = RunRequest(kind=RunKind.REPLAY, start=times["from"], until=times["until"])
    run = begin_run(row, nothing, by="test")
    assert (run.start, run.end) == (0, 0)
    wrong = RunRequest(kind=RunKind.REPLAY, start={"position": 1}, until=until)
    with pytest.raises(InvalidRun, match="before the start"):
        begin_run(row, wrong, by="test")


def test_imports_are_pruned_by_a_mark_of_their_own() -> None:
    imported(*range(3))
    publish_and_route(2)
    long_ago = timezone.now() - past_facts.timedelta(days=40)
    EventRecord.objects.filter(position__in=positions()[:2]).update(
        recorded_at=long_ago
    )
    behind = a_puller()
    walk = Walk(30)
    while walk.step():
        pass
    assert not walk.pruned.rows["events"]
    assert walk.pruned.held_count == 2
    pulled(behind)
    walk = Walk(30)
    while walk.step():
        pass
    assert walk.pruned.rows["events"] == 2
    head = LogHead.objects.get()
    assert (head.pruned_to, head.imports_pruned_to) == (0, positions()[0] - 1)
    first = {"position": MIN_IMPORT_POSITION}
    gone = RunRequest(kind=RunKind.REPLAY, start=first)
    with pytest.raises(InvalidRun, match="were deleted"):
        begin_run(behind, gone, by="test")
    assert begin_run(behind, RunRequest(kind=RunKind.REPLAY), by="test")
    assert pulled(behind) == [2, 0, 1]


def test_young_imports_do_not_hide_what_a_subscriber_keeps_for_long() -> None:
    publish_and_route(2)
    long_ago = timezone.now() - past_facts.timedelta(days=40)
    EventRecord.objects.update(recorded_at=long_ago)
    imported(0, 1)
    row = a_puller()
    before = timezone.now() - past_facts.timedelta(days=30)
    notify_holders({row.pk: BEFORE_IMPORTS}, before)
    assert EventRecord.objects.get(type=HELD).data["event_count"] == 2


def test_a_handler_is_not_streamed_before_it_has_passed_the_imports() -> None:
    stop_midway(0, 1)
    handler = Handler()
    subscriber("late", events=[TYPE], is_safe_concurrently=True)(_with(handler))
    register_declared()
    row = Subscriber.objects.get(name="late")
    # As that of an ordered one that began with history.
    past = {"start": BEFORE_IMPORTS, "position": BEFORE_IMPORTS, "is_behind": True}
    Cursor.objects.filter(subscriber=row).update(**past)
    with isolated():
        subscriber("late", events=[TYPE])(_with(handler))
        register_declared()
        row.refresh_from_db()
        assert not row.is_streamed
        close_import(by="test")
        drain()
        start_waiting_streams()
        publish_and_route(1)
        drain()
    row.refresh_from_db()
    assert row.is_streamed
    assert handler.got == [0, 1, 0]


def _with(handler: Handler) -> Any:
    def late(event: Event) -> None:
        handler(event)

    return late
