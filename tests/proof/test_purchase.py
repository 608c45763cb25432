"""A stop with purchases in flight, on the database and the broker of most."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.test_purchase import stop_with_purchases_in_flight
from tests.conftest import QUICK
from tests.servers.postgresql import database_of_its_own
from tests.servers.stack import running


def test_a_stop_with_purchases_in_flight_loses_nothing(
    tmp_path: Path, postgresql_url: str
) -> None:
    with (
        database_of_its_own(postgresql_url) as url,
        running(tmp_path, ROUTER=QUICK, DATABASE_URL=url) as stack,
    ):
        stop_with_purchases_in_flight(stack)
