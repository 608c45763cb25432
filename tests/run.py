"""`make test` and `make proof`: private servers on free ports, then the tests.

`make test` runs the suite on PostgreSQL and, beside it, the contract tests on SQLite.
`make proof` runs what is long by nature once: all in `tests/proof`, what has the mark
`long`, more examples of the machines that try the protocol, and on SQLite what `make
test` leaves out there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO
from urllib.parse import urlsplit

from router.encryption import make_key
from tests.servers.buildah import buildah_program
from tests.servers.chromium import chromium
from tests.servers.migrated import MIGRATED_POSTGRESQL, MIGRATED_SQLITE
from tests.servers.node import GENERATORS, PACKAGES, node_modules
from tests.servers.pgbouncer import pgbouncer_program
from tests.servers.php import php_program
from tests.servers.postgresql import database_of_its_own, postgresql
from tests.servers.proxies import nginx_program
from tests.servers.python_programs import python_programs
from tests.servers.rabbitmq import rabbitmq_program
from tests.servers.unavailable import Unavailable
from tests.servers.valkey import valkey

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
PROOF = "tests/proof"
CONTRACT = "tests/contract"
NO_TESTS = 5
#: Much of the time is spent waiting for real processes. `-n0` turns it off again.
SIDE_BY_SIDE = ("--numprocesses=3", "--dist=loadgroup")
#: Of the proofs; plugins that only these use, or nobody, take a second of each process.
LEFT_OUT = (
    *("-p", "no:schemathesis", "-p", "no:anyio"),
    *("-m", "not long", f"--ignore={PROOF}"),
)
#: Fewer: some of them measure.
PROOF_SIDE_BY_SIDE = ("--numprocesses=2", "--dist=loadgroup")
IS_CI = os.environ.get("CI", "").lower() in ("true", "1")


@contextmanager
def browser() -> Iterator[str]:
    yield chromium()


@contextmanager
def broker() -> Iterator[str]:
    with valkey() as server:
        yield server.url


@contextmanager
def other_broker() -> Iterator[str]:
    yield rabbitmq_program()


@contextmanager
def npm() -> Iterator[str]:
    yield str(node_modules(*PACKAGES))


@contextmanager
def generators() -> Iterator[str]:
    yield str(node_modules(*PACKAGES, *GENERATORS))


@contextmanager
def pooler() -> Iterator[str]:
    yield pgbouncer_program()


@contextmanager
def generator() -> Iterator[str]:
    yield str(python_programs("client_generator"))


@contextmanager
def example_packages() -> Iterator[str]:
    yield str(python_programs("requirements", EXAMPLES) / "python")


@contextmanager
def php() -> Iterator[str]:
    yield php_program()


@contextmanager
def nginx() -> Iterator[str]:
    yield nginx_program()


@contextmanager
def caddy() -> Iterator[str]:
    yield str(python_programs("caddy") / "caddy")


@contextmanager
def image_builder() -> Iterator[str]:
    yield buildah_program()


#: What is wanted → the variable that tells the tests where it is.
SERVICES: dict[str, tuple[str, Callable[[], AbstractContextManager[str]]]] = {
    "PostgreSQL": ("TEST_POSTGRESQL_URL", postgresql),
    "Valkey": ("BROKER_URL", broker),
    "RabbitMQ": ("RABBITMQ", other_broker),
    "Chromium": ("CHROMIUM", browser),
    "npm": ("NODE_MODULES", npm),
}
#: What the proofs alone want.
PROOF_SERVICES = {
    **SERVICES,
    "npm": ("NODE_MODULES", generators),
    "PgBouncer": ("PGBOUNCER", pooler),
    "nginx": ("NGINX", nginx),
    "Caddy": ("CADDY", caddy),
    "Buildah": ("BUILDAH", image_builder),
    "openapi-python-client": ("CLIENT_GENERATOR", generator),
    "Flask and FastAPI": ("EXAMPLES_PYTHON", example_packages),
    "PHP": ("PHP", php),
}


def main(arguments: list[str]) -> int:
    is_proof = arguments[:1] == ["--proof"]
    notices: list[str] = []
    with ExitStack() as servers:
        environment = {
            **os.environ,
            "PYTHONDEVMODE": "1",
            # The hooks of its allocator find faults of C code, for a sixth of the time.
            "PYTHONMALLOC": "default",
            # Each of a hundred processes would compile the project for itself.
            "PYTHONDONTWRITEBYTECODE": "",
            "DEBUG": "true",
            "ENCRYPTION_KEYS": make_key(),
            "VAR_DIR": servers.enter_context(TemporaryDirectory(prefix="fanfare-var-")),
        }
        if not is_proof:
            arguments = [*LEFT_OUT, *arguments]
            compiling = servers.enter_context(_compiling(arguments, environment))
        wanted = PROOF_SERVICES if is_proof else SERVICES
        for name, (variable, service) in wanted.items():
            try:
                environment[variable] = servers.enter_context(service())
            except Unavailable as why:
                notices.append(f"{name} cannot be had: {why}. Its tests did not run.")
        if notices and IS_CI:
            print("\n".join(notices), file=sys.stderr)
            return 1
        if is_proof:
            return _proof(arguments[1:], environment, notices)
        environment |= servers.enter_context(_migrated(environment))
        compiling.wait()
        return _two_passes(arguments, environment, notices)


def _proof(
    arguments: list[str], environment: dict[str, str], notices: list[str]
) -> int:
    given = {
        "DATABASE_URL": environment.get("TEST_POSTGRESQL_URL", ""),
        "TEST_NOTICES": "\n".join(notices),
        "TEST_PASS": "proof",
        "PROTOCOL_EXAMPLES": os.environ.get("PROTOCOL_EXAMPLES", "30"),
    }
    on_sqlite = {**environment, "TEST_PASS": "rest of the contract"}
    return _together(
        _pytest([*PROOF_SIDE_BY_SIDE, *arguments], {**environment, **given}).wait(),
        _pytest(_contract(arguments), on_sqlite).wait(),
    )


def _two_passes(
    arguments: list[str], environment: dict[str, str], notices: list[str]
) -> int:
    postgresql_url = environment.get("TEST_POSTGRESQL_URL", "")
    print(f"All tests on {'PostgreSQL' if postgresql_url else 'SQLite'}", flush=True)
    with TemporaryFile() as output:
        on_sqlite = _pytest(
            _contract(arguments),
            {**environment, "TEST_PASS": "contract"},
            output,
        )
        given = {
            "DATABASE_URL": postgresql_url,
            "TEST_NOTICES": "\n".join(notices),
        }
        whole = _pytest([*SIDE_BY_SIDE, *arguments], {**environment, **given}).wait()
        contract = on_sqlite.wait()
        output.seek(0)
        print("The contract tests on SQLite", output.read().decode(), sep="\n")
    if whole not in (0, NO_TESTS):
        print("The pass over all tests failed: see above.", file=sys.stderr)
    return _together(whole, contract)


def _compiling(
    arguments: list[str], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Imports the tests while the servers start, so that they are compiled: each
    process would do it for itself, for twenty seconds of a fresh clone."""
    return _pytest([*arguments, "--collect-only"], environment, subprocess.DEVNULL)


@contextmanager
def _migrated(environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """The databases that those of the tests are copies of, by their variables.

    To migrate each of them takes ten seconds of the processor.
    """
    with TemporaryDirectory(prefix="fanfare-migrated-") as folder, ExitStack() as stack:
        _migrate({**environment, "VAR_DIR": folder, "DATABASE_URL": ""})
        made = {MIGRATED_SQLITE: f"{folder}/fanfare.sqlite3"}
        if url := environment.get("TEST_POSTGRESQL_URL"):
            template = stack.enter_context(database_of_its_own(url))
            _migrate({**environment, "DATABASE_URL": template})
            made[MIGRATED_POSTGRESQL] = urlsplit(template).path.removeprefix("/")
        yield made


def _migrate(environment: dict[str, str]) -> None:
    subprocess.run(  # noqa: S603
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        env={**environment, "PYTHONDEVMODE": ""},
        check=True,
    )


def _contract(arguments: list[str]) -> list[str]:
    """To collect all tests takes longer than half of those which then run."""
    return arguments if any(map(_is_path, arguments)) else [CONTRACT, *arguments]


def _is_path(argument: str) -> bool:
    return Path(argument.partition("::")[0]).exists()


def _pytest(
    arguments: list[str],
    environment: dict[str, str],
    output: IO[bytes] | int | None = None,
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "pytest", *arguments],
        env=environment,
        stdout=output,
        stderr=output and subprocess.STDOUT,
    )


def _together(first: int, second: int) -> int:
    """The first failure; no tests in one pass is none while the other had some."""
    failures = [code for code in (first, second) if code not in (0, NO_TESTS)]
    if failures:
        return failures[0]
    return NO_TESTS if first == second == NO_TESTS else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
