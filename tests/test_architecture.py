"""The house keeps its shape: imports, migrations, sizes, pins."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from config.env import BASE_DIR

OURS = ("config", "router", "shop", "subscribers")
MAX_LINES = 400
LONGEST_BODY = 30
PINNED = re.compile(r"[A-Za-z0-9_.\[\]-]+==[^ ;]+( ;.*|;.*)?")


def modules() -> Iterator[Path]:
    for part in OURS:
        for path in (BASE_DIR / part).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path


def test_imports_point_the_way_the_house_says() -> None:
    lint = "from importlinter.cli import lint_imports_command as lint; lint()"
    told = subprocess.run(  # noqa: S603
        [sys.executable, "-c", lint],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    told = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=told)
    assert "No changes detected" in told.getvalue()


def test_a_file_has_one_job() -> None:
    long = {
        str(path.relative_to(BASE_DIR)): count
        for path in modules()
        if (count := len(path.read_text().splitlines())) > MAX_LINES
        # Settings are a list, not a job.
        and path != BASE_DIR / "config" / "settings.py"
    }
    assert long == {}


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Without signature and docstring, which may be as long as it takes."""
    has_docstring = ast.get_docstring(function) is not None
    statements = function.body[1:] if has_docstring else function.body
    return (function.end_lineno or 0) - statements[0].lineno + 1 if statements else 0


def test_a_function_does_one_thing() -> None:
    long = [
        f"{path.relative_to(BASE_DIR)}: {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and body_lines(node) > LONGEST_BODY
    ]
    assert long == []


@pytest.mark.parametrize(
    "name",
    ["requirements.txt", "tests/requirements.txt", "benchmarks/requirements.txt"],
)
def test_every_requirement_is_pinned_exactly(name: str) -> None:
    lines = (BASE_DIR / name).read_text().splitlines()
    loose = [
        line
        for line in lines
        if not line.startswith("-r ") and not PINNED.fullmatch(line)
    ]
    assert loose == []
