from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.servers.pgbouncer import PgBouncer, pgbouncer
from tests.servers.postgresql import database_of_its_own, role_of_its_own


@pytest.fixture
def pooler(postgresql_url: str) -> Iterator[PgBouncer]:
    """A PgBouncer in transaction mode, with a role of its own."""
    if not os.environ.get("PGBOUNCER"):
        pytest.skip("needs PgBouncer: run the proofs with `make proof`")
    with (
        role_of_its_own(postgresql_url) as role,
        pgbouncer(postgresql_url, role) as server,
    ):
        yield server


@pytest.fixture
def database(postgresql_url: str) -> Iterator[str]:
    """The name of an empty database."""
    with database_of_its_own(postgresql_url) as url:
        yield urlsplit(url).path.removeprefix("/")
