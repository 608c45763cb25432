"""A subscriber comes late to a long log: it gets all of it, each event once, beside
live events, while dispatchers and workers are killed.

HISTORY=1000000 makes the log so long. What is measured is printed, and asserted of it
is nothing: the machine may be busy with something else.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import psycopg
import pytest

from benchmarks.arithmetic import ratio, rounded
from tests.chaos import fleet
from tests.proof.catching_up import (
    CELL,
    PROJECT,
    Log,
    Run,
    Span,
    Waits,
    shell_argv,
    site,
)
from tests.proof.late_project import PER_SECOND
from tests.servers.on_demand import Servers
from tests.servers.waiting import wait_until

HISTORY = int(os.environ.get("HISTORY", "100000"))
#: Live events before the late one comes, of which the first ones are not measured.
FIRST, BEFORE = 5 * PER_SECOND, 30 * PER_SECOND
#: Of history, behind the late one when a worker and a dispatcher are killed.
KILLS = (0.4, 0.7)
#: The processes of the next release start meanwhile.
START_SECONDS = 5.0
#: The process in the killed one's place has started, and what waited is done, so long
#: after the kill.
AFTER_KILL_SECONDS = 20.0
#: What was published so long before a kill may have been held by that worker.
BEFORE_KILL_SECONDS = 1.0
#: So slow is no machine.
SECONDS = 300 + HISTORY / 200
#: Shorter than in production, the lease by thirty times: what a killed worker holds is
#: free after it, and seen by the next sweep.
ROUTER = json.dumps(
    {
        "time_limit_seconds": 2,
        "lease_seconds": 3,
        "sweep_seconds": 0.25,
        "mark_seconds": 1,
        "heartbeat_seconds": 1,
        "stale_after_seconds": 10,
        "webhook_deadline_seconds": 1,
        "handlers": [PROJECT],
    }
)


@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.xdist_group("history")
def test_all_of_history_comes_once_whatever_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        Servers(is_durable=True) as servers,
        servers.database() as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        environment = fleet.environment_of(
            CELL,
            tmp_path,
            DATABASE_URL=url,
            BROKER_URL=servers.broker("valkey").url,
            ROUTER=ROUTER,
            HISTORY=str(HISTORY),
            BENCH_DIR=str(tmp_path),
            BENCH_IS_TIMED="1",
        )
        fleet.manage(environment, "migrate", "--run-syncdb", "--verbosity=0")
        fleet.manage(environment, *shell_argv("fill")[2:])
        log = Log(connection)
        before = undisturbed(tmp_path, environment, log)
        kills = disturbed(tmp_path, {**environment, "LATE": "1"}, log)
        with capsys.disabled():
            show(Waits(tmp_path), before, log.run(), kills)
        assert log.verdict() == {"lost": 0, "doubled": 0, "failed": 0}
        assert log.digest_received() == log.digest()
        run = log.run()
        assert (run.count, run.digest) == log.digest_to(run.end)


def undisturbed(
    folder: Path, environment: dict[str, str], log: Log
) -> tuple[float, float]:
    """Live events alone; returns when these were published that count."""
    with site(folder, environment) as running:
        wait_until(lambda: log.live_count() >= FIRST, SECONDS)
        began_at = time.time()
        wait_until(lambda: log.live_count() >= FIRST + BEFORE, SECONDS)
        ended_at = time.time()
        running.publisher.stop()
        wait_until(log.is_done, SECONDS)
    return began_at, ended_at


def disturbed(folder: Path, environment: dict[str, str], log: Log) -> list[float]:
    """Live events beside the late subscriber, until it has all; returns the times of
    the kills."""
    kills = []
    with site(folder, environment) as running:
        for number, share in enumerate(KILLS):
            wait_until(lambda share=share: log.position(1) >= HISTORY * share, SECONDS)
            running.kill(number)
            kills.append(time.time())
            assert log.run().state == "active"
        wait_until(lambda: log.run().state != "active", SECONDS)
        running.publisher.stop()
        wait_until(log.is_done, SECONDS)
    return kills


def show(
    waits: Waits, before: tuple[float, float], run: Run, kills: list[float]
) -> None:
    begin, end = run.began_at + START_SECONDS, run.ended_at or 0.0
    print(
        f"\n{run.count:,} events of history in {run.seconds:.1f} s,"
        f" {run.count / run.seconds:,.0f} a second; killed after"
        f" {', '.join(f'{at - run.began_at:.1f} s' for at in kills)}"
    )
    alone = waits.within([before])
    print(f"standing, live events alone: {_text(alone)}")
    for name, is_late in {"standing": False, "late, its own live events": True}.items():
        for title, spans in {
            "up to the first kill": [(begin, kills[0])],
            "apart from the kills": _between_kills(begin, end, kills),
            "all of the run": [(begin, end)],
        }.items():
            found = waits.within(spans, is_late=is_late)
            times = ratio(found["p99"], alone["p99"])
            print(f"{name}, {title}: {_text(found)}; p99 {times} times")


def _between_kills(begin: float, end: float, kills: list[float]) -> list[Span]:
    """The run without the time around each kill."""
    begins = [begin, *(at + AFTER_KILL_SECONDS for at in kills)]
    ends = [*(at - BEFORE_KILL_SECONDS for at in kills), end]
    return list(zip(begins, ends, strict=True))


def _text(figures: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {rounded(value)}" for name, value in figures.items())
