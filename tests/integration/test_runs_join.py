"""The join of history and live: a subscriber that begins at any moment gets every event
once, while publishers commit late, dispatchers route and fill, facts from before the
router are imported, and all interleave.

On PostgreSQL, with publishers in sessions of their own.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from router.flow.cursor import runs_in_stream
from router.flow.deliver.stream import serve
from router.flow.route import run_windows
from router.flow.route.behind import BEHIND
from router.flow.route.crossing import cross_gap
from router.flow.route.routing import route_batch
from router.flow.route.run_windows import fill_runs, finish_runs
from router.flow.route.window import Windows, fill_windows
from router.models import Cursor, EventRecord, LogHead, Run, RunState, Subscriber
from router.models.gap import BEFORE_IMPORTS
from router.operate.importing import Import, close_import
from router.operate.subscribers import create_subscriber
from router.public import Event, publish, subscriber
from router.registry import isolated
from router.testing import deliver_due, is_settled, register_declared
from tests.contract import past_facts
from tests.contract.steps import TYPE, ack, take
from tests.integration.test_late_commits import insert

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer at a time"
)
STEPS = (
    "publish", "begin late", "commit late", "route", "fill", "serve", "subscribe",
    "import fact", "end import",
)  # fmt: skip
names = itertools.count()


class Join:
    """One subscriber of some kind, publishers beside it, and what it got."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._late: list[psycopg.Connection[Any]] = []
        self._windows = Windows()
        self.row: Subscriber | None = None
        #: Where an import ended, each time: of an earlier example, or of this one.
        self.ends = set(LogHead.objects.values_list("imported", flat=True))
        self.got: list[Event] = []

    def step(self, name: str) -> None:
        getattr(self, f"_{name.replace(' ', '_')}")()

    def _publish(self) -> None:
        number = next(names)
        publish(TYPE, {}, id=f"n{number}", partitionkey="ab"[number % 2])

    def _begin_late(self) -> None:
        session = psycopg.connect(**connection.get_connection_params())
        insert(session, f"late{next(names)}")
        self._late.append(session)

    def _commit_late(self) -> None:
        if self._late:
            session = self._late.pop(0)
            session.commit()
            session.close()

    def _import_fact(self) -> None:
        number = next(names)
        past_facts.given[:] = [past_facts.fact(number, partitionkey="ab"[number % 2])]
        next(Import(types=[TYPE]).steps())

    def _end_import(self) -> None:
        if LogHead.objects.filter(is_import_open=True).exists():
            close_import(by="test")
            self.ends.add(LogHead.objects.get().imported)

    def _route(self) -> None:
        self._windows.turn()
        route_batch(fits=self._windows.fits)

    def _fill(self) -> None:
        cross_gap()
        if BEHIND.rows():
            fill_windows()
        fill_runs()
        finish_runs()

    def _serve(self) -> None:
        if self.row is None:
            return
        if self._kind == "handler":
            runs_in_stream.look_again()
            serve(self.row.pk)
            return
        batch = take(self.row, most=3)
        self.got += [delivery.event.to_event() for delivery in batch]
        ack(batch)

    def _subscribe(self) -> None:
        if self.row is not None:
            return
        if self._kind == "handler":
            subscriber("joined", events=[TYPE], start="beginning")(self._handle)
            register_declared()
            self.row = Subscriber.objects.known().get(name="joined")
            return
        ordering = "key" if self._kind == "ordered" else "none"
        made = create_subscriber(
            "joined",
            by="test",
            transport="pull",
            events=[TYPE],
            ordering=ordering,
            start="beginning",
        )
        self.row = made.subscriber

    def _handle(self, event: Event) -> None:
        self.got.append(event)

    def finish(self) -> None:
        """Until everything is committed, routed, and acknowledged."""
        self._subscribe()
        self._end_import()
        while self._late:
            self._commit_late()
        for _ in range(500):
            self._route()
            self._fill()
            self._serve()
            if self._kind == "handler":
                deliver_due()
            if is_settled() and not BEHIND.rows():
                return
        raise AssertionError("It is never done.")

    def close(self) -> None:
        for session in self._late:
            session.close()
        Subscriber.objects.filter(name="joined").delete()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    monkeypatch.setattr(run_windows, "RUN_WINDOW", 4)
    limits = {"WINDOW": 4, "STREAM_LIMIT": 3, "HISTORY": past_facts.HISTORY}
    settings.ROUTER = {**settings.ROUTER, **limits}


@pytest.fixture
def nobody(transactional_db: None) -> Iterator[None]:
    Subscriber.objects.all().delete()
    with isolated():
        yield


@pytest.mark.parametrize("kind", ["handler", "pull", "ordered"])
@settings(
    max_examples=3,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=10, max_size=40))
@pytest.mark.usefixtures("small", "nobody")
def test_history_and_live_are_every_event_once(kind: str, steps: list[str]) -> None:
    with isolated():
        join = Join(kind)
        try:
            for name in steps:
                join.step(name)
            join.finish()
            _check(join)
        finally:
            join.close()


def _check(join: Join) -> None:
    events = EventRecord.objects.filter(type=TYPE)
    positions = dict(events.values_list("event_id", "position"))
    assert None not in positions.values()
    [cursor] = Cursor.objects.filter(subscriber=join.row, start__lt=0) or [None]
    # What was imported when its import ended; later facts come by another backfill.
    last = cursor.imports_to if cursor else BEFORE_IMPORTS
    assert cursor is None or last in join.ends
    owed = [id for id, at in positions.items() if (at or 0) > 0 or (at or 0) <= last]
    assert Counter(event.id for event in join.got) == Counter(owed)
    for run in Run.objects.filter(subscriber=join.row):
        assert run.state == RunState.COMPLETE
    if join._kind != "ordered":
        return
    by_key: dict[str, list[int]] = defaultdict(list)
    for event in join.got:
        by_key[event.partitionkey].append(positions[event.id] or 0)
    for key in ("a", "b"):
        assert by_key[key] == sorted(by_key[key])
    assert LogHead.objects.get().recorded_count >= len(positions)
