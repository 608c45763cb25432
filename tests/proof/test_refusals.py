"""Failed tasks of three causes, made by real workers, are three groups; a ramped retry
of a cause that is not fixed stops after the first."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from tests.chaos import fleet
from tests.chaos.cells import CELLS, QUICK, TIMES
from tests.chaos.program import Programs
from tests.proof.refusals import CAMPAIGN, MEMBER, POINTS, ROUND, WORDS
from tests.servers.postgresql import database_of_its_own
from tests.servers.waiting import wait_until

PROJECT = "tests.proof.refusing_project"
ROUTER = json.dumps({**TIMES, "handlers": [PROJECT]})
#: `REFUSAL_ROUNDS=1000` makes 10,000 failed tasks.
ROUNDS = int(os.environ.get("REFUSAL_ROUNDS", "50"))
SECONDS = 900
#: Every event was taken by the healthy subscriber, and by the other, or given up.
IS_DONE = """
    SELECT count(*) FILTER (WHERE subscriber = 'healthy') = each.count
        AND count(*) FILTER (WHERE subscriber = 'loyalty') + (
            SELECT count(group_id) FROM router_failedtask) = each.count
    FROM chaos_effect, (SELECT %s::integer AS count) AS each GROUP BY each.count
"""
IS_OVER = "SELECT NOT EXISTS (SELECT 1 FROM router_rampedretry WHERE state = 'active')"


@contextmanager
def site(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A worker and a dispatcher."""
    programs = Programs(folder, environment)
    try:
        programs.add("worker", fleet.worker_argv(CELLS[QUICK], "worker"))
        programs.add("dispatcher", fleet.manage_argv("dispatch"))
        yield
    finally:
        programs.stop()


def test_refusals_of_three_causes_are_three_groups(
    postgresql_url: str, broker_url: str, tmp_path: Path
) -> None:
    urls = {"BROKER_URL": broker_url, "ROUTER": ROUTER, "ROUNDS": str(ROUNDS)}
    with database_of_its_own(postgresql_url) as url:
        environment = fleet.environment_of(
            CELLS[QUICK], tmp_path, DATABASE_URL=url, **urls
        )
        fleet.manage(environment, "migrate", "--run-syncdb", "--verbosity=0")
        with site(tmp_path, environment):
            in_project(environment, "happen")
            wait_for(url, IS_DONE, len(ROUND) * ROUNDS)
            found = in_project(environment, "tell")
            in_project(environment, "retry")
            wait_for(url, IS_OVER)
            after = in_project(environment, "tell")

    assert [(each["becomes"], each["open"]) for each in found["causes"]] == [
        ([each], ROUND.count(each) * ROUNDS) for each in (MEMBER, POINTS, CAMPAIGN)
    ]
    for each in found["causes"]:
        sample = each["sample"]
        assert WORDS[sample["becomes"]].format(**sample) in each["words"]
        assert each["has_times"]
    assert (after["retries"], after["retried"]) == (["stopped"], 1)
    opened = [[each["open"] for each in told["causes"]] for told in (found, after)]
    assert opened[0] == opened[1]


def wait_for(url: str, statement: LiteralString, *values: int) -> None:
    """Until the statement says so."""
    with psycopg.connect(url, autocommit=True) as connection:
        wait_until(
            lambda: connection.execute(statement, values).fetchone() == (True,), SECONDS
        )


def in_project(environment: dict[str, str], call: str) -> Any:
    """What the function of the project prints, as JSON."""
    code = f"from {PROJECT} import {call}; {call}()"
    return json.loads(
        fleet.manage(environment, "shell", "--no-imports", "-c", code) or "null"
    )
