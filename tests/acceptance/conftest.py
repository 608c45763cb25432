"""A running stack that tests share, so that not each of them starts its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.conftest import QUICK
from tests.servers.postgresql import database_of_its_own
from tests.servers.stack import Stack, running

#: Each database and broker; one process of the suite has its stack. PostgreSQL with
#: Valkey is in tests/proof.
KINDS = [
    pytest.param(kind, marks=pytest.mark.xdist_group(group))
    for kind, group in {
        "sqlite and Valkey": "sqlite",
        # That process has the node too, which takes long to start.
        "postgresql and RabbitMQ": "rabbitmq",
    }.items()
]


@pytest.fixture(scope="module", params=KINDS)
def stack_of_each_kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    database, _, broker = request.param.partition(" and ")
    with ExitStack() as servers:
        environment = {"ROUTER": QUICK}
        if database == "postgresql":
            own = database_of_its_own(request.getfixturevalue("postgresql_url"))
            environment["DATABASE_URL"] = servers.enter_context(own)
        if broker == "RabbitMQ":
            server = request.getfixturevalue("rabbitmq_server")
            environment["BROKER_URL"] = server.url
        folder = tmp_path_factory.mktemp("kind")
        yield servers.enter_context(running(folder, **environment))


@pytest.fixture(scope="package")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The one stack; whether it runs is up to the test before."""
    with running(tmp_path_factory.mktemp("shared")) as stack:
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
