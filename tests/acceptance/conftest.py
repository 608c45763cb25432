"""A running stack that tests share, so that not each of them starts its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import QUICK
from tests.servers.postgresql import database_of_its_own
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.stack import Stack, running


@pytest.fixture(scope="package")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The one stack; whether it runs is up to the test before."""
    with running(tmp_path_factory.mktemp("shared"), ROUTER=QUICK) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Stack:
    """It runs: what the test before has ended is started again.

    Its tests are in the group `stack`, and those that end it are the last of theirs.
    """
    if shared_stack.process.poll() is not None:
        shared_stack.start()
        shared_stack.wait_ready()
    return shared_stack


@pytest.fixture(scope="module")
def stack_on_servers(
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_url: str,
    rabbitmq_server: RabbitMQ,
) -> Iterator[Stack]:
    """One on PostgreSQL and RabbitMQ."""
    folder = tmp_path_factory.mktemp("servers")
    with database_of_its_own(postgresql_url) as url:
        environment = {"DATABASE_URL": url, "BROKER_URL": rabbitmq_server.url}
        with running(folder, ROUTER=QUICK, **environment) as stack:
            yield stack


#: Each database and broker. PostgreSQL with Valkey is in tests/proof.
KINDS = [
    pytest.param(
        "stack", id="sqlite and Valkey", marks=pytest.mark.xdist_group("stack")
    ),
    pytest.param(
        "stack_on_servers",
        id="postgresql and RabbitMQ",
        # That process has the node too, which takes long to start.
        marks=[pytest.mark.xdist_group("rabbitmq"), pytest.mark.long],
    ),
]


@pytest.fixture(params=KINDS)
def stack_of_each_kind(request: pytest.FixtureRequest) -> Stack:
    stack: Stack = request.getfixturevalue(request.param)
    return stack
