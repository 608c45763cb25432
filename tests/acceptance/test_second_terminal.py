"""`manage.py` in a second terminal, which may lack the variables of the first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from config.env import BASE_DIR
from config.supervisor import surroundings
from tests.conftest import StartStack
from tests.servers.stack import Stack

NO_MIGRATION = ("showmigrations", "router", "--verbosity", "0")


def said(environment: dict[str, str], *command: str) -> str:
    """What a command says beside its output."""
    return subprocess.run(  # noqa: S603
        [sys.executable, "manage.py", *(command or NO_MIGRATION)],
        cwd=BASE_DIR,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stderr


def record(stack: Stack) -> Path:
    return surroundings.FOLDER / f"{stack.process.pid}.json"


def test_a_command_that_looks_at_another_database_says_so(
    start_stack: StartStack, tmp_path: Path
) -> None:
    stack = start_stack()
    elsewhere = {**stack.environment, "VAR_DIR": str(tmp_path)}
    (tmp_path / "fanfare.sqlite3").touch()

    told = said(elsewhere)

    assert "Fanfare runs here" in told
    assert f"this command {tmp_path / 'fanfare.sqlite3'}" in told
    assert "DATABASE_URL" in told
    assert said(stack.environment) == ""
    assert oct(record(stack).stat().st_mode & 0o777) == "0o600"
    assert stack.stop() == 0
    assert not record(stack).exists()


def test_what_was_killed_is_not_taken_for_running(
    start_stack: StartStack, tmp_path: Path
) -> None:
    stack = start_stack()
    stack.process.send_signal(signal.SIGKILL)
    stack.process.wait()
    assert record(stack).exists()

    told = said({**stack.environment, "VAR_DIR": str(tmp_path)})

    assert f"process {stack.process.pid})" not in told
    assert not record(stack).exists()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {"DATABASE_URL": "postgresql://ada:swordfish@localhost/fanfare"},
            {"database": "fanfare at 127.0.0.1:5432"},
        ),
        (
            {"DATABASE_URL": "postgresql://ada@/fanfare?host=/run/postgresql"},
            {"database": "fanfare at /run/postgresql:5432"},
        ),
        (
            {"BROKER_URL": "redis://:sword@fish@localhost:6379/0?timeout=5"},
            {"broker": "redis://127.0.0.1:6379/0"},
        ),
        (
            {"BROKER_URL": "amqp://ada:swordfish@db.example//"},
            {"broker": "amqp://db.example//"},
        ),
    ],
)
def test_a_place_is_told_without_its_login(
    environment: dict[str, str], expected: dict[str, str]
) -> None:
    code = (
        "import json; from config.supervisor.surroundings import surroundings;"
        "print(json.dumps(surroundings()))"
    )
    printed = subprocess.run(  # noqa: S603
        [sys.executable, "manage.py", "shell", "-v0", "-c", code],
        cwd=BASE_DIR,
        env={**os.environ, "DEBUG": "true", **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    for name, place in expected.items():
        assert f'"{name}": "{place}"' in printed
    assert "sword" not in printed
