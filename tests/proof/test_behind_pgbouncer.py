"""The router behind PgBouncer in transaction mode, where no session is its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from config.env import BASE_DIR
from router.conf import POSTGRESQL_TIMEOUTS
from tests.acceptance.asking import deliveries
from tests.acceptance.customer import Customer
from tests.acceptance.purchases import SIX
from tests.conftest import StartStack
from tests.servers.pgbouncer import PgBouncer
from tests.servers.waiting import wait_until

pytestmark = [pytest.mark.timeout(900), pytest.mark.xdist_group("pgbouncer")]

#: Publish, route, deliver, settle, lease, sweep, pull; one at a time and in chunks.
CORE = (
    "test_asking_to_pull",
    "test_delivering",
    "test_dispatching",
    "test_giving_up",
    "test_isolation",
    "test_leasing",
    "test_protocol",
    "test_publishing",
    "test_pulling",
    "test_ringing",
    "test_stream",
    "test_stream_suspects",
    "test_stream_switched",
    "test_stream_trouble",
)
RECIPE = BASE_DIR / "docs" / "production.md"


@pytest.fixture
def timeouts_of_the_recipe(pooler: PgBouncer) -> None:
    """The role gets its timeouts by the statements of the docs."""
    statements = re.findall(
        r"ALTER ROLE fanfare (SET \w+ = '\d+s');", RECIPE.read_text()
    )
    assert len(statements) == len(POSTGRESQL_TIMEOUTS)
    with psycopg.connect(pooler.url("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(f"ALTER ROLE {pooler.role} {statement}")


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=BASE_DIR,
        env={**os.environ, "PYTHONDEVMODE": "", "NO_COLOR": "1", **environment},
        check=False,
        capture_output=True,
        text=True,
    )


def pooled(pooler: PgBouncer, database: str) -> dict[str, str]:
    return {"DATABASE_URL": pooler.url(database), "DATABASE_POOLER": "true"}


@contextmanager
def no_test_database_left(database: str, postgresql_url: str) -> Iterator[None]:
    """The pooler keeps sessions open, so that pytest can't drop its database."""
    try:
        yield
    finally:
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(
                f'DROP DATABASE IF EXISTS "test_{database}" WITH (FORCE)'
            )


@pytest.mark.usefixtures("timeouts_of_the_recipe")
def test_the_contract_holds_behind_the_pooler(
    pooler: PgBouncer, database: str, postgresql_url: str
) -> None:
    with no_test_database_left(database, postgresql_url):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n0", "-q", "--reuse-db"]
            + [
                "--timeout=600",
                "--show-capture=no",
                *(f"tests/contract/{name}.py" for name in CORE),
            ],
            cwd=BASE_DIR,
            env={**os.environ, **pooled(pooler, database), "TEST_PASS": ""},
            check=False,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert re.search(r"\d{2,} passed", done.stdout)


@pytest.mark.usefixtures("timeouts_of_the_recipe")
def test_a_purchase_behind_the_pooler_reaches_all_six(
    start_stack: StartStack, pooler: PgBouncer, database: str
) -> None:
    stack = start_stack(**pooled(pooler, database))
    customer = Customer(stack.url)

    order = customer.buy()

    wait_until(lambda: customer.sees_all_done(order))
    all_done = dict.fromkeys(SIX, "ACKNOWLEDGED")
    assert deliveries(stack, subject=order, wanted=all_done) == all_done
    assert "forgot a prepared statement" not in stack.log_text()


@pytest.mark.usefixtures("timeouts_of_the_recipe")
def test_the_doctor_reads_the_timeouts_that_are_in_force(
    pooler: PgBouncer, database: str
) -> None:
    output = manage("doctor", **pooled(pooler, database)).stdout

    for name, value in POSTGRESQL_TIMEOUTS.items():
        assert f"✓ timeouts: {name} is {value.removesuffix('s')} s" in output
    assert "W022" not in output


def test_a_role_without_timeouts_is_found_with_the_statement_that_helps(
    pooler: PgBouncer, database: str
) -> None:
    environment = pooled(pooler, database)

    checked = manage("check", "--database", "default", **environment).stderr

    assert checked.count("router.W022") == len(POSTGRESQL_TIMEOUTS)
    for name, value in POSTGRESQL_TIMEOUTS.items():
        wanted = f"""ALTER ROLE "{pooler.role}" SET {name} = '{value}'"""
        assert wanted in checked.replace("\n", " ")
    assert "W022" in manage("doctor", **environment).stdout


@pytest.mark.parametrize("command", ["doctor", "up", "migrate"])
def test_a_missing_setting_behind_a_pooler_is_named(
    pooler: PgBouncer, database: str, command: str
) -> None:
    environment = {"DATABASE_URL": pooler.url(database), "DATABASE_POOLER": "false"}

    completed = manage(command, **environment)

    words = " ".join((completed.stdout + completed.stderr).split())
    assert completed.returncode != 0
    assert "unsupported startup parameter: options" in words
    assert "DATABASE_POOLER=true" in words
    assert "Traceback" not in words
