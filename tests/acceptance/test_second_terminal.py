"""`manage.py` in a second terminal, which may lack the variables of the first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config import env, second_terminal
from config.env import BASE_DIR
from config.supervisor.processes import programs
from tests.servers.stack import Stack

NO_MIGRATION = ("showmigrations", "router", "--verbosity", "0")


def warning_of(environment: dict[str, str], *command: str) -> str:
    """What a command writes beside its output."""
    return subprocess.run(
        [sys.executable, "manage.py", *(command or NO_MIGRATION)],
        cwd=BASE_DIR,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stderr


def record(stack: Stack) -> Path:
    return second_terminal.FOLDER / f"{stack.process.pid}.json"


@pytest.mark.long
@pytest.mark.xdist_group("stack")
def test_a_command_that_uses_another_database_than_up_warns(
    stack: Stack, tmp_path: Path
) -> None:
    elsewhere = {**stack.environment, "VAR_DIR": str(tmp_path)}
    (tmp_path / "fanfare.sqlite3").touch()

    warning = warning_of(elsewhere)

    assert "Fanfare runs here" in warning
    assert f"this command {tmp_path / 'fanfare.sqlite3'}" in warning
    assert "DATABASE_URL" in warning
    assert warning_of(stack.environment) == ""
    assert oct(record(stack).stat().st_mode & 0o777) == "0o600"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (
            {
                "DATABASE_URL": "postgresql://ada:swordfish@localhost/fanfare",
                "BROKER_URL": "redis://:sword@fish@localhost:6379/0?timeout=5",
            },
            {
                "database": "fanfare at 127.0.0.1:5432",
                "broker": "redis://127.0.0.1:6379/0",
            },
        ),
        (
            {
                "DATABASE_URL": "postgresql://ada@/fanfare?host=/run/postgresql",
                "BROKER_URL": "amqp://ada:swordfish@db.example//",
            },
            {
                "database": "fanfare at /run/postgresql:5432",
                "broker": "amqp://db.example//",
            },
        ),
    ],
)
def test_a_place_is_shown_without_its_login(
    environment: dict[str, str], expected: dict[str, str]
) -> None:
    code = (
        "import json; from config.second_terminal import places;"
        "print(json.dumps(places()))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE_DIR,
        env={**os.environ, "DEBUG": "true", "PYTHONDEVMODE": "", **environment},
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    for name, place in expected.items():
        assert f'"{name}": "{place}"' in printed
    assert "sword" not in printed


SHOW_DEBUG = (
    "shell",
    "-v0",
    "-c",
    "from django.conf import settings as s; print(s.DEBUG)",
)
PRODUCTION = {"SECRET_KEY": "of-production", "ENCRYPTION_KEYS": "x" * 43 + "="}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code in a folder where `make run` ran once."""
    for name in ("config", "manage.py"):
        copy = shutil.copytree if (BASE_DIR / name).is_dir() else shutil.copy
        copy(BASE_DIR / name, tmp_path / name)
    for name in ("router", "shop", "subscribers"):
        (tmp_path / name).symlink_to(BASE_DIR / name)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "local.env").write_text("DEBUG=true\nHOME=/elsewhere\n")
    return tmp_path


@pytest.fixture
def running_up(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The record of an `up` of that folder, which this test holds itself."""
    monkeypatch.setattr(second_terminal, "FOLDER", checkout / "var" / "running")
    monkeypatch.setattr(env, "LOCAL_FILE", checkout / "var" / "local.env")
    monkeypatch.setenv("DEBUG", "true")
    with second_terminal.recorded():
        yield checkout / "var" / "running" / f"{os.getpid()}.json"


def start(
    folder: Path, *argv: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Start Python there, with an environment that has no setting of ours."""
    known = {name.upper() for name in env.Environment.model_fields}
    kept = {name: value for name, value in os.environ.items() if name not in known}
    return subprocess.run(
        [sys.executable, *argv],
        cwd=folder,
        env={
            **kept,
            "VAR_DIR": str(folder / "var"),
            "PYTHONDEVMODE": "",
            **environment,
        },
        check=False,
        capture_output=True,
        text=True,
    )


# What the web process and a worker import first.
@pytest.mark.parametrize(
    "code", ["import config.asgi", "import config.celery as c; c.app.conf.broker_url"]
)
def test_no_process_but_up_reads_the_choices_of_make_run(
    running_up: Path, checkout: Path, code: str
) -> None:
    assert "SECRET_KEY is not set" in start(checkout, "-c", code).stderr


def test_every_program_that_up_starts_by_a_command_is_a_service(
    settings: Any,
) -> None:
    settings.ROUTER = {**settings.ROUTER, "BRIDGES": {"legacy": {}}}
    commands = {
        program.argv[2]
        for program in programs("127.0.0.1", 8000)
        if program.argv[1] == "manage.py"
    }

    assert "bridge" in commands
    assert commands <= second_terminal.SERVICES


@pytest.mark.parametrize(
    ("command", "environment", "expected"),
    [
        (SHOW_DEBUG, {}, "True"),
        # A process with settings of its own takes nothing.
        (SHOW_DEBUG, PRODUCTION, "False"),
        (SHOW_DEBUG, {"DEBUG": "false"}, "SECRET_KEY is not set"),
        # Services would outlive the `up` whose choices they took.
        (("dispatch",), {}, "SECRET_KEY is not set"),
        (("runserver",), {}, "SECRET_KEY is not set"),
    ],
)
def test_a_command_takes_the_choices_of_the_up_that_runs(
    running_up: Path,
    checkout: Path,
    command: tuple[str, ...],
    environment: dict[str, str],
    expected: str,
) -> None:
    ended = start(checkout, "manage.py", *command, **environment)

    assert expected in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_up_a_command_says_what_to_set(checkout: Path) -> None:
    ended = start(checkout, "manage.py", *SHOW_DEBUG)

    assert ended.returncode == 2
    assert "SECRET_KEY is not set" in ended.stderr
    assert "DEBUG=true" in ended.stderr


def test_a_record_that_another_account_could_write_is_not_believed(
    running_up: Path, checkout: Path
) -> None:
    running_up.chmod(0o666)

    assert start(checkout, "manage.py", *SHOW_DEBUG).returncode == 2


def test_up_reads_the_choices_for_itself_and_its_programs(checkout: Path) -> None:
    """It ends before it starts anything: its own folder is no place for its state."""
    ended = start(checkout, "manage.py", "up", VAR_DIR=str(checkout))

    assert "holds more than the state" in ended.stderr
