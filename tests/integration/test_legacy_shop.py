"""The example of a legacy shop: by RabbitMQ and a bridge to the six subscribers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from config.env import BASE_DIR
from router.models import Delivery, EventRecord, Heartbeat, IngressFailedTask
from router.observe.outcome import outcomes_of
from router.testing import deliver_due, register_declared
from tests.acceptance.purchases import SIX
from tests.code_blocks import texts
from tests.contract.puller_processes import own_database_url
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.server import Server
from tests.servers.waiting import wait_until

SECONDS = 120
BRIDGE = "legacy-shop"


@pytest.fixture
def seeded_shop(transactional_db: None, settings: Any, tmp_path: Path) -> None:
    # Alerts go to files then: there is no Slack.
    settings.DEBUG, settings.VAR_DIR = True, tmp_path
    register_declared()
    call_command("seed_shop", verbosity=0)
    deliver_due()


def sell(url: str, *numbers: str) -> None:
    example = BASE_DIR / "docs" / "examples" / "legacy_shop.py"
    subprocess.run(
        [sys.executable, str(example), *numbers],
        env={"AMQP_URL": url, "PATH": os.environ["PATH"]},
        check=True,
        timeout=SECONDS,
    )


def settings_of_the_page() -> dict[str, Any]:
    """What the page adds to `settings.ROUTER`."""
    [block] = texts("docs/routers.md", "python")
    names: dict[str, Any] = {"ROUTER": {}}
    exec(block, names)
    router: dict[str, Any] = names["ROUTER"]
    return router


@contextmanager
def bridging(folder: Path) -> Iterator[Server]:
    environment = {
        **os.environ,
        "DATABASE_URL": own_database_url(),
        "ROUTER": json.dumps(settings_of_the_page()),
    }
    command = [sys.executable, "manage.py", "bridge", BRIDGE]
    server = Server(command, folder / "bridge.log", env=environment, cwd=BASE_DIR)
    try:
        yield server
    finally:
        server.kill()


@pytest.mark.long
@pytest.mark.xdist_group("foreign rabbitmq")
@pytest.mark.usefixtures("seeded_shop")
def test_the_six_subscribers_serve_the_orders_of_a_legacy_shop_once(
    foreign_rabbitmq_server: RabbitMQ, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = foreign_rabbitmq_server.url
    monkeypatch.setenv("LEGACY_AMQP_URL", url)
    sell(url, "1001", "1002")

    with bridging(tmp_path) as bridge:
        wait_until(lambda: details(bridge).get("new") == 2, SECONDS)
        sell(url, "1001")
        wait_until(lambda: details(bridge).get("known") == 1, SECONDS)
        bridge.stop()
        assert bridge.exit_code() == 0, bridge.last_output()
    deliver_due()

    orders = EventRecord.objects.filter(source="https://legacy-shop.example")
    assert {(each.event_id, each.type) for each in orders} == {
        ("order-1001", "purchase.completed"),
        ("order-1002", "purchase.completed"),
    }
    became = outcomes_of(orders, Delivery.objects.filter(event__in=orders))
    states = [
        (each.subscriber.name, each.state)
        for each in (*became.deliveries, *became.by_cursor)
    ]
    assert sorted(states) == sorted([(name, "ACKNOWLEDGED") for name in SIX] * 2)
    assert not IngressFailedTask.objects.exists()


def details(bridge: Server) -> dict[str, Any]:
    bridge.check_runs()
    beat = Heartbeat.objects.first()
    return beat.details if beat else {}
