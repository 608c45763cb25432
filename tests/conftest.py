from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_django
import redis
from django.conf import settings
from django.core.management import call_command
from django.core.management.commands import flush
from django.db import DEFAULT_DB_ALIAS, connections
from django.test import override_settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from router.flow.publish import registered_schemas
from router.models import Subscriber
from tests.contract.steps import a_puller
from tests.flush import QuickFlush
from tests.receivers import Declare, declaring
from tests.servers import waiting
from tests.servers.fauxqs import IN_MEMORY
from tests.servers.migrated import (
    MIGRATED_POSTGRESQL,
    MIGRATED_SQLITE,
    copy_migrated,
)
from tests.servers.postgresql import database_of_its_own
from tests.servers.rabbitmq import RabbitMQ, rabbitmq
from tests.servers.stack import Stack
from tests.servers.valkey import Valkey, valkey

TESTS = Path(__file__).parent
CONTRACT, PROOF = TESTS / "contract", TESTS / "proof"
#: `make proof` tries twice the examples of these that `make test` does.
MACHINES = (CONTRACT / "test_protocol.py", CONTRACT / "test_pulling.py")

# A busy machine is no reason for a red test.
hypothesis_settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("patient")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected stays: to look through it for garbage, again and again, takes
    a fifth of the time, and a part of the tests' after it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _is_contract(item: pytest.Item) -> bool:
    return CONTRACT in item.path.parents and not _is_left_to_proof(item)


def _is_left_to_proof(item: pytest.Item) -> bool:
    """Of those on SQLite: what takes longest, and asks least of a database."""
    return item.get_closest_marker("one_database") is not None


def _is_long(item: pytest.Item) -> bool:
    is_marked = item.get_closest_marker("long") is not None
    return is_marked or PROOF in item.path.parents or item.path in MACHINES


#: Pass → the tests that it is for; the pass over all has no name.
PASSES = {
    "contract": _is_contract,
    "rest of the contract": _is_left_to_proof,
    "proof": _is_long,
}


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Groups come first: one of them alone at the end would leave a core idle."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
    is_meant = PASSES.get(os.environ.get("TEST_PASS", ""))
    if is_meant is not None:
        others = [item for item in items if not is_meant(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if is_meant(item)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What `make test` has to tell goes before pytest's own last line."""
    for line in filter(None, os.environ.get("TEST_NOTICES", "").split("\n")):
        terminalreporter.write_line(f"!!! {line}", red=True, bold=True)


@pytest.fixture(scope="session", autouse=True)
def static_root() -> None:
    """WhiteNoise warns where there is none, and warnings are errors."""
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """A strong hash takes a fifth of a second of the processor for each account."""
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with override_settings(PASSWORD_HASHERS=hashers):
        yield


@pytest.fixture(scope="session", autouse=True)
def no_wariness() -> Iterator[None]:
    """A process is wary for a minute after it lost a session; the next test is not."""
    with override_settings(ROUTER={**settings.ROUTER, "WARY_SECONDS": 0}):
        yield


@pytest.fixture(autouse=True)
def no_known_schemas() -> None:
    """A process remembers registered schemas; one test's are not another's."""
    registered_schemas.forget()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None,
) -> Iterator[None]:
    """A file, where SQLite would take memory: threads then wait for each other's
    locks as processes do. Each is a copy of what `make test` has migrated."""
    database = settings.DATABASES["default"]
    test = database.setdefault("TEST", {})
    if database["ENGINE"].endswith("sqlite3"):
        with TemporaryDirectory(prefix="fanfare-", dir=IN_MEMORY) as folder:
            test["NAME"] = f"{folder}/test.sqlite3"
            copy_migrated(Path(test["NAME"]))
            yield
    else:
        test["TEMPLATE"] = os.environ.get(MIGRATED_POSTGRESQL)
        yield


@pytest.fixture(scope="session")
def django_db_keepdb(request: pytest.FixtureRequest) -> bool:
    """Whether the database is there: Django would delete the copy of a file."""
    is_file = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    is_copy = is_file and MIGRATED_SQLITE in os.environ
    return is_copy or bool(request.config.getoption("reuse_db"))


@pytest.fixture(scope="session")
def django_db_setup(
    django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker
) -> Iterator[None]:
    """Transactional tests end with a flush: ours takes a fifth of the time."""
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        # A database that is used again may hold what an interrupted run left.
        call_command("flush", verbosity=0, interactive=False)
        quick = QuickFlush()
        patch.setattr(
            flush.Command, "handle", lambda self, **options: quick(self, **options)
        )
        yield
        # Of `forget_connection`: Django closes its own, and can't drop the database
        # while another is open.
        connections.close_all()


def forget_connection() -> None:
    """Django makes a new one where it is asked for it next."""
    connections[DEFAULT_DB_ALIAS].close()
    del connections[DEFAULT_DB_ALIAS]


@pytest.fixture
def wariness(settings: Any) -> None:
    """What a worker has."""
    settings.ROUTER = {**settings.ROUTER, "WARY_SECONDS": 60}


@pytest.fixture
def own_connection(transactional_db: None) -> Iterator[None]:
    """A connection that the test has for itself, and what the router knows of it."""
    forget_connection()
    yield
    forget_connection()


@pytest.fixture
def declare(transactional_db: None) -> Iterator[Declare]:
    """`declare(name, behave=…, **options)` declares and registers a subscriber."""
    with declaring() as declare:
        yield declare


@pytest.fixture
def puller(transactional_db: None) -> Subscriber:
    """The one subscriber; it pulls."""
    Subscriber.objects.all().delete()
    return a_puller()


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """`wait_until(condition, seconds)`: fails when it does not hold in time."""
    return waiting.wait_until


@pytest.fixture
def free_port() -> int:
    return waiting.free_port()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Valkey]:
    """A private Valkey that tests may kill, stop and start again."""
    with valkey() as server:
        yield server


@pytest.fixture
def broker_url(valkey_server: Valkey) -> str:
    """A broker with nothing in it."""
    if not valkey_server.answers():
        valkey_server.start()
    with redis.Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server.url


@pytest.fixture(scope="session")
def postgresql_url() -> str:
    """The private PostgreSQL of `make test`; its databases are the tests' own."""
    url = os.environ.get("TEST_POSTGRESQL_URL")
    if not url:
        pytest.skip("needs PostgreSQL: run the tests with `make test`")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database for a stack of its own: "" is SQLite."""
    if request.param == "sqlite":
        yield ""
    else:
        with database_of_its_own(request.getfixturevalue("postgresql_url")) as url:
            yield url


def private_rabbitmq() -> Iterator[RabbitMQ]:
    if not os.environ.get("RABBITMQ"):
        pytest.skip("needs RabbitMQ: run the tests with `make test`")
    with rabbitmq() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    """A private RabbitMQ that tests may kill, stop and start again."""
    yield from private_rabbitmq()


@pytest.fixture(scope="session")
def npm_packages() -> Path:
    """The folder `node_modules` with what `tests.run` installed."""
    folder = os.environ.get("NODE_MODULES")
    if not folder:
        pytest.skip("needs npm: run the tests with `make test`")
    return Path(folder)


StartStack = Callable[..., Stack]


@pytest.fixture
def start_stack(tmp_path: Path) -> Iterator[StartStack]:
    """`start_stack(is_ready=True, **environment)`: the real thing for one test."""
    with ExitStack() as stacks:

        def start(*, is_ready: bool = True, **environment: str) -> Stack:
            stack = Stack(tmp_path, **environment)
            stacks.callback(lambda: print(stack.log_text()))
            stacks.callback(stack.stop)
            if is_ready:
                stack.wait_ready()
            return stack

        yield start


# A fault shows within seconds; the order of the time limits is kept.
QUICK = (
    '{"time_limit_seconds": 6, "lease_seconds": 10, "mark_seconds": 3,'
    ' "webhook_deadline_seconds": 3,'
    ' "heartbeat_seconds": 1, "stale_after_seconds": 10}'
)
