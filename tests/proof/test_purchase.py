"""A stop with purchases in flight, on PostgreSQL and each broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.test_purchase import stop_with_purchases_in_flight
from tests.conftest import QUICK
from tests.servers.postgresql import database_of_its_own
from tests.servers.stack import running


@pytest.mark.parametrize("broker", ["Valkey", "RabbitMQ"])
def test_a_stop_with_purchases_in_flight_loses_nothing(
    tmp_path: Path, postgresql_url: str, broker: str, request: pytest.FixtureRequest
) -> None:
    is_given = broker == "RabbitMQ"
    url = request.getfixturevalue("rabbitmq_server").url if is_given else ""
    with (
        database_of_its_own(postgresql_url) as database,
        running(tmp_path, ROUTER=QUICK, DATABASE_URL=database, BROKER_URL=url) as stack,
    ):
        assert (stack.find("broker") is None) == is_given
        stop_with_purchases_in_flight(stack)
