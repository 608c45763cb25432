"""An event that is poison for a subscriber costs itself alone, on real workers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos import fleet
from tests.chaos.cells import CELLS, QUICK, TIMES
from tests.proof.poisons import POISONS
from tests.servers.postgresql import database_of_its_own
from tests.servers.waiting import wait_until

PROJECT = "tests.proof.poisoned_project"
#: Fewer losses than in production, so that giving up takes seconds.
ROUTER = json.dumps({**TIMES, "max_lost_leases": 2, "handlers": [PROJECT]})
SECONDS = 400
OPEN = """
    SELECT 1 FROM router_eventrecord WHERE position IS NULL
    UNION ALL SELECT 1 FROM router_delivery WHERE state IN ('PENDING', 'LEASED')
    UNION ALL SELECT 1 FROM router_cursor AS cursor
        JOIN router_subscriber AS subscriber
            ON subscriber.id = cursor.subscriber_id AND subscriber.is_streamed
        JOIN router_eventrecord AS event
            ON event.position > cursor.position AND event.type NOT LIKE 'router.%'
"""
TOLD = {name: error for name, (_, error) in POISONS.items()}


class Aftermath:
    """What the database holds when nothing is open any more."""

    def __init__(self, report: dict[str, Any]) -> None:
        self.everything = {event for event, _ in report["events"]}
        (self.poison,) = {event for event, is_poison in report["events"] if is_poison}
        self.acknowledged_at: dict[tuple[str, str], str] = {
            (name, event): at
            for name, event, state, at in report["deliveries"]
            if state == "ACKNOWLEDGED"
        }
        #: Subscriber, event, error and time of each.
        self.failed: list[tuple[str, str, str, str]] = sorted(report["failed"])
        self.effects = Counter((name, event) for name, event in report["effects"])


def in_project(environment: dict[str, str], call: str) -> str:
    code = f"from {PROJECT} import {call}; {call}()"
    return fleet.manage(environment, "shell", "--no-imports", "-c", code)


def wait_for_the_end(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        wait_until(lambda: connection.execute(OPEN).fetchone() is None, SECONDS)


@pytest.fixture
def aftermath(postgresql_url: str, broker_url: str, tmp_path: Path) -> Aftermath:
    """All poisons at once; published first, so that each meets a full chunk."""
    cell = CELLS[QUICK]
    with database_of_its_own(postgresql_url) as url:
        environment = fleet.environment_of(
            cell, tmp_path, DATABASE_URL=url, BROKER_URL=broker_url, ROUTER=ROUTER
        )
        fleet.manage(environment, "migrate", "--run-syncdb", "--verbosity=0")
        in_project(environment, "happen")
        with fleet.running(cell, tmp_path, environment):
            try:
                wait_for_the_end(url)
            finally:
                for log in tmp_path.glob("*.log"):
                    print(log.name, log.read_text(errors="replace"), sep="\n")
        return Aftermath(json.loads(in_project(environment, "tell")))


def test_poison_costs_itself_and_no_other(aftermath: Aftermath) -> None:
    poison = aftermath.poison
    report = [
        (name, event, error.partition(":")[0])
        for name, event, error, _ in aftermath.failed
    ]
    assert report == sorted((name, poison, error) for name, error in TOLD.items())

    owed = {
        (name, event) for name in ["healthy", *TOLD] for event in aftermath.everything
    }
    good = owed - {(name, poison) for name in TOLD}
    assert set(aftermath.acknowledged_at) == good
    assert aftermath.effects == dict.fromkeys(good, 1)

    # The healthy subscriber did not wait for the end of what kills workers.
    served_at = max(
        at for (name, _), at in aftermath.acknowledged_at.items() if name == "healthy"
    )
    killed_at = [
        at for *_, error, at in aftermath.failed if error.startswith("WorkerVanished")
    ]
    assert served_at < min(killed_at)
