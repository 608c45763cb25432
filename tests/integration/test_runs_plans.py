"""What runs ask of a long log: by which plans, whatever the planner knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from router.db.plan_cache import SETTINGS
from router.flow.cursor import runs_in_stream
from router.flow.deliver import stream
from router.flow.deliver.stream import serve
from router.flow.dispatch.ring import RunsWaiting
from router.flow.route.run_windows import fill_runs, finish_runs
from router.models import Cursor, Delivery, LogHead, Run, RunKind, Subscriber, Turn
from router.observe.run_progress import LOOK, progress_of
from router.operate.run_request import RunRequest
from router.operate.runs import begin_run
from router.public import subscriber
from router.testing import isolated_subscribers, register_declared
from tests.integration.test_query_plans import FILL_LOG
from tests.integration.test_stream_plans import (
    COMMON,
    FILL_DELIVERIES,
    TABLES,
    assert_by_index,
    do,
    explained,
    hot_statements,
    start_anew,
)

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="plans are PostgreSQL's"
)
EVENTS, PLACE = 100_000, 50_000
#: The key of a subscriber that there is not: only its deliveries count.
OF_OTHERS = 0


@pytest.fixture
def runs(own_connection: None) -> Iterator[None]:
    """Replays of a long log, each half done, of a subscriber of each kind."""
    with isolated_subscribers():
        for name, is_safe in (("in_stream", False), ("by_row", True)):
            declare = subscriber(
                name,
                events=[COMMON],
                is_safe_concurrently=is_safe,
                is_idempotent=True,
            )
            declare(lambda event: None)
        register_declared()
        start_anew()
        do(FILL_LOG, [EVENTS])
        LogHead.objects.update(position=EVENTS)
        Cursor.objects.update(position=EVENTS)
        Subscriber.objects.update(mean_run_ms=0.1)
        do(FILL_DELIVERIES, [OF_OTHERS, 1])
        for row in Subscriber.objects.all():
            do(FILL_DELIVERIES, [row.pk, 1])
            begin_run(row, RunRequest(kind=RunKind.REPLAY), by="test")
        Cursor.objects.filter(run=1).update(position=PLACE)
        yield
        do("TRUNCATE router_eventrecord, router_delivery CASCADE")


def served() -> None:
    row = Subscriber.objects.get(name="in_stream")
    runs_in_stream.look_again()
    serve(row.pk)
    assert Cursor.objects.get(subscriber=row, run=1).position > PLACE


def filled() -> None:
    assert fill_runs() > 0


def rung() -> None:
    Turn.objects.update(marked_until=None)
    assert len(RunsWaiting().due(but=())) == 1


def finished() -> None:
    assert finish_runs() == 0


def followed() -> None:
    """How far a run is, as pages, calls and commands ask again and again."""
    for run in Run.objects.all():
        progress = progress_of(run)
        assert progress.is_estimate
        assert progress.remaining_events > LOOK
        for only_failed, chosen in ((True, None), (False, [PLACE + 1, EVENTS])):
            run.only_failed, run.chosen = only_failed, chosen
            progress_of(run)


HOT: list[Callable[[], None]] = [served, filled, rung, finished, followed]


@pytest.mark.timeout(600)
def test_runs_read_a_long_log_by_index(
    runs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "SERVE_SECONDS", -1.0)
    for is_analysed in (False, True):
        if is_analysed:
            do(f"ANALYZE {', '.join(TABLES)}")
        Delivery.objects.filter(run=1).update(state="ACKNOWLEDGED")
        issued = list(hot_statements(HOT))
        assert [sql for sql in issued if "here AS MATERIALIZED" in sql]
        how: Any
        for sql in issued:
            for how in ({}, SETTINGS):
                assert_by_index(explained(sql, how))
