"""`make test`: private servers on free ports, then the suite in two passes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from tempfile import TemporaryDirectory

from router.encryption import make_key
from tests.servers.chromium import chromium
from tests.servers.node import PACKAGES, node_modules
from tests.servers.postgresql import postgresql
from tests.servers.rabbitmq import rabbitmq_program
from tests.servers.unavailable import Unavailable
from tests.servers.valkey import valkey

NO_TESTS = 5
#: Half of the time is spent waiting for real processes. `-n0` turns it off again.
SIDE_BY_SIDE = ("--numprocesses=2", "--dist=loadgroup")
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


#: What is wanted → the variable that tells the tests where it is.
SERVICES: dict[str, tuple[str, Callable[[], AbstractContextManager[str]]]] = {
    "PostgreSQL": ("TEST_POSTGRESQL_URL", postgresql),
    "Valkey": ("BROKER_URL", broker),
    "RabbitMQ": ("RABBITMQ", other_broker),
    "Chromium": ("CHROMIUM", browser),
    "npm": ("NODE_MODULES", npm),
}


def main(arguments: list[str]) -> int:
    notices: list[str] = []
    with ExitStack() as servers:
        environment = {
            **os.environ,
            "PYTHONDEVMODE": "1",
            "DEBUG": "true",
            "ENCRYPTION_KEYS": make_key(),
            "VAR_DIR": servers.enter_context(TemporaryDirectory(prefix="fanfare-var-")),
        }
        for name, (variable, service) in SERVICES.items():
            try:
                environment[variable] = servers.enter_context(service())
            except Unavailable as why:
                notices.append(f"{name} cannot be had: {why}. Its tests did not run.")
        if notices and IS_CI:
            print("\n".join(notices), file=sys.stderr)
            return 1
        return _two_passes(arguments, environment, notices)


def _two_passes(
    arguments: list[str], environment: dict[str, str], notices: list[str]
) -> int:
    print("The contract tests on SQLite", flush=True)
    first = _pytest(arguments, {**environment, "TEST_PASS": "contract"})
    if first not in (0, NO_TESTS):
        notices = [*notices, "The pass on SQLite failed: see above."]
    postgresql_url = environment.get("TEST_POSTGRESQL_URL", "")
    print(f"All tests on {'PostgreSQL' if postgresql_url else 'SQLite'}", flush=True)
    second = _pytest(
        arguments,
        {
            **environment,
            "DATABASE_URL": postgresql_url,
            "TEST_NOTICES": "\n".join(notices),
        },
    )
    return _together(first, second)


def _pytest(arguments: list[str], environment: dict[str, str]) -> int:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", *SIDE_BY_SIDE, *arguments],
        env=environment,
        check=False,
    ).returncode


def _together(first: int, second: int) -> int:
    """The first failure; no tests in one pass is none while the other had some."""
    failures = [code for code in (first, second) if code not in (0, NO_TESTS)]
    if failures:
        return failures[0]
    return NO_TESTS if first == second == NO_TESTS else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
