"""A late subscriber beside live events: the processes, the log, and what was seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL
from typing import Any, LiteralString

import psycopg

from benchmarks import results
from benchmarks.arithmetic import percentile
from router.contract.digest import digest_of
from tests.chaos.cells import Cell
from tests.chaos.fleet import COUNT, manage_argv, worker_argv
from tests.chaos.program import Programs
from tests.proof.late_project import LATE, LIVE, TYPE

PROJECT = "tests.proof.late_project"
CELL = Cell(database="postgresql", broker="valkey", pool="solo")
#: Begin and end, in seconds since the epoch.
Span = tuple[float, float]
#: What the statements name.
SAME = {"type": TYPE, "live": LIVE}
#: The late one's place in the log.
POSITION = """
    SELECT cursor.position FROM router_cursor AS cursor JOIN router_subscriber AS late
        ON late.id = cursor.subscriber_id AND late.name = 'late'
    WHERE cursor.run = %(run)s
"""
RUN = """
    SELECT state, start, "end", count, digest, extract(epoch FROM created_at)::float,
        extract(epoch FROM finished_at)::float FROM router_run
"""
OPEN = """
    SELECT 1 FROM router_eventrecord WHERE position IS NULL
    UNION ALL SELECT 1 FROM router_delivery WHERE state IN ('PENDING', 'LEASED')
    UNION ALL SELECT 1 FROM router_run WHERE state = 'active'
    UNION ALL SELECT 1 FROM router_cursor AS cursor
        JOIN router_subscriber AS subscriber
            ON subscriber.id = cursor.subscriber_id AND subscriber.events ? %(type)s
        JOIN router_eventrecord AS event
            ON event.position > cursor.position AND event.type = %(type)s
        WHERE cursor.run = 0
"""
LOGGED = "SELECT source, event_id FROM router_eventrecord WHERE type = %(type)s"
UP_TO = " AND position <= %(to)s"
RECEIVED = "SELECT source, event_id FROM late_received"
LOST = f"SELECT count(*) FROM ({LOGGED} EXCEPT {RECEIVED}) AS lost"
DOUBLED = """
    SELECT count(*) FROM (
        SELECT 1 FROM late_received GROUP BY source, event_id HAVING count(*) > 1
    ) AS doubled
"""
FAILED = "SELECT count(*) FROM router_failedtask"
LIVE_COUNT = "SELECT count(*) FROM router_eventrecord WHERE source = %(live)s"


def shell_argv(call: str) -> list[str]:
    code = f"from {PROJECT} import {call}; {call}()"
    return manage_argv("shell", "--no-imports", "-v0", "-c", code)


class Site(Programs):
    """Dispatchers, workers and a publisher of one release, on one database."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(folder, environment)
        numbers = range(1, COUNT + 1)
        self.workers = [
            self.add(f"worker{n}", worker_argv(CELL, f"worker{n}")) for n in numbers
        ]
        self.dispatchers = [
            self.add(f"dispatcher{n}", manage_argv("dispatch")) for n in numbers
        ]
        self.publisher = self.add("publisher", shell_argv("publish_for_ever"))

    def kill(self, number: int) -> None:
        """A worker and a dispatcher, in the midst of their work."""
        for program in (self.workers[number], self.dispatchers[number]):
            program.server.send_all(SIGKILL)


@contextmanager
def site(folder: Path, environment: Mapping[str, str]) -> Iterator[Site]:
    running = Site(folder, environment)
    try:
        yield running
    finally:
        running.stop()


@dataclass(frozen=True, kw_only=True)
class Run:
    state: str
    start: int
    end: int
    count: int
    digest: int
    #: In seconds since the epoch.
    began_at: float
    ended_at: float | None

    @property
    def seconds(self) -> float:
        return (self.ended_at or self.began_at) - self.began_at


class Log:
    """Asks the database how far it is, and what came of it; each statement is a
    transaction of its own."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def live_count(self) -> int:
        return int(self._first(LIVE_COUNT)[0])

    def position(self, run: int) -> int:
        """Of the late subscriber's cursor; 0 where there is none yet."""
        return int((self._first(POSITION, run=run) or [0])[0])

    def run(self) -> Run:
        return Run(**dict(zip(Run.__dataclass_fields__, self._first(RUN), strict=True)))

    def is_done(self) -> bool:
        return self._first(OPEN) is None

    def verdict(self) -> dict[str, int]:
        """What may not be: events that the late one lacks, or has twice, and events
        that were given up."""
        counts = {
            "lost": self._first(LOST),
            "doubled": self._first(DOUBLED),
            "failed": self._first(FAILED),
        }
        return {name: count for name, (count,) in counts.items()}

    def digest(self) -> int:
        """Of all events of the log."""
        return digest_of(self._names(LOGGED))

    def digest_to(self, position: int) -> tuple[int, int]:
        """Count and digest of the events up to a position."""
        events = list(self._names(LOGGED + UP_TO, to=position))
        return len(events), digest_of(events)

    def digest_received(self) -> int:
        return digest_of(self._names(RECEIVED))

    def _first(self, statement: LiteralString, **values: int) -> Any:
        return self._connection.execute(statement, {**SAME, **values}).fetchone()

    def _names(
        self, statement: LiteralString, **values: int
    ) -> Iterator[tuple[str, str]]:
        """Source and id of each event."""
        with self._connection.cursor() as cursor:
            yield from cursor.stream(statement, {**SAME, **values})


class Waits:
    """From publishing to the handler's last start, in milliseconds."""

    def __init__(self, folder: Path) -> None:
        # What a kill rolled back ran again.
        last: defaultdict[tuple[int, int], float] = defaultdict(float)
        for wait in results.waits(folder):
            key = (wait.subscriber, wait.published_ns)
            last[key] = max(last[key], wait.ms)
        self._last = last

    def within(
        self, spans: Sequence[Span], *, is_late: bool = False
    ) -> dict[str, float | None]:
        """Of the events published within these times, at the standing subscribers or
        at the late one: percentiles, the longest, and how many there were."""
        ms = [
            waited
            for (number, at_ns), waited in self._last.items()
            if any(begin <= at_ns / 1e9 <= end for begin, end in spans)
            and (number == LATE) is is_late
        ]
        shares = {"p50": 0.5, "p99": 0.99, "longest": 1.0}
        found = {name: percentile(ms, share) for name, share in shares.items()}
        return {**found, "count": len(ms)}
