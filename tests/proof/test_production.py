"""The commands of `docs/production.md`, run as they stand against a PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from config.env import BASE_DIR
from tests import containers
from tests.code_blocks import texts

EXAMPLE = containers.DOCKER / "systemd" / "environment.example"


def block(kind: str, containing: str) -> str:
    """The block of code of the docs that has these words."""
    [recipe] = [
        text for text in texts("docs/production.md", kind) if containing in text
    ]
    return recipe


@pytest.fixture
def database(postgresql_url: str) -> Iterator[str]:
    """The URL of a database made by the docs' statements, as its plain owner."""
    name = f"docs_{uuid.uuid4().hex[:12]}"
    made = block("sql", "CREATE DATABASE").replace("fanfare", name)
    with psycopg.connect(postgresql_url, autocommit=True) as administrator:
        for statement in filter(str.strip, made.split(";")):
            administrator.execute(statement)
        yield (
            urlsplit(postgresql_url)
            ._replace(netloc=f"{name}:swordfish@", path=f"/{name}")
            .geturl()
        )
        administrator.execute(f"DROP DATABASE {name} WITH (FORCE)")
        administrator.execute(f"DROP ROLE {name}")


def test_the_commands_of_an_upgrade_run_as_they_stand(
    database: str, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    filled = {
        **{
            name: containers.SECRETS[name] for name in ("SECRET_KEY", "ENCRYPTION_KEYS")
        },
        "DATABASE_URL": f'"{database}"',
        "VAR_DIR": str(tmp_path / "var"),
        "SANDBOX_PAYMENTS": "true",
        "DEBUG": "false",
    }
    lines = [f"{name}={value}" for name, value in filled.items()]
    environment.write_text(EXAMPLE.read_text() + "\n".join(lines) + "\n")
    script = block("sh", "collectstatic").replace(
        "/etc/fanfare/environment", str(environment)
    )

    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", script.replace(".venv/bin/python", sys.executable)],
        cwd=BASE_DIR,
        env={"PATH": os.environ["PATH"]},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues" in done.stdout
    assert "Applying router" in done.stdout
    assert (tmp_path / "var" / "static" / "staticfiles.json").exists()
