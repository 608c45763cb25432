"""The house keeps its shape: imports, migrations, sizes, pins."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from io import StringIO
from itertools import chain
from pathlib import Path

import pytest
from django.core.management import call_command
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from config.env import BASE_DIR
from router.transports.kinds import KINDS
from tests.pins import Pin, lines, pins

OURS = ("config", "router", "shop", "subscribers")
#: What the benchmarks use of them: else each refactoring would break them.
DOORS = {"router.public", "router.testing", "config.settings"}
MAX_LINES = 400
MAX_BODY_LINES = 30
#: A `.in` pins what is imported; `make lock` adds the rest, and hashes, in a `.txt`.
PINNED = [
    "requirements",
    "requirements-routers",
    "tests/requirements",
    "tests/servers/client_generator",
    "tests/servers/caddy",
    "benchmarks/requirements",
    "docs/examples/requirements",
]
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def modules(*folders: str) -> Iterator[Path]:
    for part in folders or OURS:
        for path in (BASE_DIR / part).rglob("*.py"):
            if "migrations" not in path.parts:
                yield path


def test_imports_point_the_way_the_house_says() -> None:
    lint = "from importlinter.cli import lint_imports_command as lint; lint()"
    completed = subprocess.run(  # noqa: S603
        [sys.executable, "-c", lint],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from (
                module if "." in module else f"{module}.{alias.name}"
                for alias in node.names
            )


def test_the_benchmarks_know_only_the_doors_of_the_product() -> None:
    wrong = {
        f"{path.relative_to(BASE_DIR)}: {name}"
        for path in (BASE_DIR / "benchmarks").rglob("*.py")
        for name in (
            *imported_modules(path),
            # A table of the router.
            *re.findall(r"\brouter_\w+", path.read_text()),
        )
        if re.split(r"[._]", name)[0] in OURS and name not in DOORS
    }
    assert wrong == set()


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    output = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=output)
    assert "No changes detected" in output.getvalue()


def test_a_file_has_one_job() -> None:
    long = {
        str(path.relative_to(BASE_DIR)): count
        for path in modules(*OURS, "tests")
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
        and body_lines(node) > MAX_BODY_LINES
    ]
    assert long == []


@pytest.mark.parametrize("folder", PINNED)
def test_every_requirement_is_pinned_exactly_and_locked_with_hashes(
    folder: str,
) -> None:
    wanted, locked = pins(f"{folder}.in"), pins(f"{folder}.txt")

    unhashed = [
        name
        for name, pin in locked.items()
        if not pin.hashes or not all(map(SHA256.fullmatch, pin.hashes))
    ]
    assert unhashed == []
    assert {name: pin.version for name, pin in wanted.items()} == {
        name: locked[name].version for name in wanted if name in locked
    }, "`make lock` was not run"


@pytest.mark.parametrize("folder", PINNED)
def test_a_lock_names_packages_alone(folder: str) -> None:
    """No registry, no other file: a machine's own pip settings say where from."""
    unwanted = [
        line for line in lines(f"{folder}.txt") if re.search(r"^-|://|@ ", line)
    ]
    assert unwanted == []


def test_the_lock_satisfies_what_the_wheel_asks_for() -> None:
    """This site's own for what it uses, another for the foreign routers too."""
    project = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    foreign = [
        asked
        for name in {"otel", *(each.extra for each in KINDS.values())}
        for asked in extras.pop(name)
    ]
    # The site runs no tasks of Django's; the tests do.
    tested = extras.pop("tasks")
    own = [*project["dependencies"], *chain.from_iterable(extras.values())]
    unsatisfied = [
        asked
        for lock, wanted in (
            ("requirements", own),
            ("requirements-routers", foreign),
            ("tests/requirements", tested),
        )
        for asked in wanted
        if not satisfies(pins(f"{lock}.txt"), Requirement(asked))
    ]

    assert unsatisfied == []


def satisfies(locked: dict[str, Pin], asked: Requirement) -> bool:
    pin = locked.get(canonicalize_name(asked.name))
    return (
        pin is not None
        and asked.specifier.contains(pin.version)
        and asked.extras <= pin.requirement.extras
    )


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-routers.txt"])
def test_tests_run_with_the_versions_that_the_site_installs(lock: str) -> None:
    tested = pins("tests/requirements.txt")
    others = {
        name: pin.version
        for name, pin in pins(lock).items()
        if name not in tested or tested[name].version != pin.version
    }
    assert others == {}


def folders() -> Iterator[str]:
    for path in modules():
        folder = path.parent.relative_to(BASE_DIR)
        if folder.name not in ("commands", "formats"):
            yield f"{folder}/"


def test_every_folder_is_named_on_the_page_of_the_architecture() -> None:
    page = (BASE_DIR / "docs" / "architecture.md").read_text()
    assert sorted({folder for folder in folders() if f"`{folder}`" not in page}) == []


def test_every_file_named_on_the_page_of_the_architecture_is_there() -> None:
    page = (BASE_DIR / "docs" / "architecture.md").read_text()
    named = re.findall(r"`((?:config|router|shop|subscribers)/[\w/.]*)`", page)
    assert [name for name in named if not (BASE_DIR / name).exists()] == []
