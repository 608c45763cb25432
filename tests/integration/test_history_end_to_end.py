"""Three late subscribers get all of history, while a publisher goes on, through a real
dispatcher and a real worker: each event once, and its origin."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client

from config.env import BASE_DIR
from router.flow.route.routing import route_batch
from router.models import Run, Scope, Subscriber
from router.public import publish
from router.testing import has_dispatcher, isolated_subscribers
from tests.contract.steps import TYPE, publish_events
from tests.integration.api import a_key, send
from tests.servers.celery_worker import celery_worker
from tests.servers.granian import database_url
from tests.servers.receiving import Receiver
from tests.servers.server import Server
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has one writer at a time"
)

HISTORY, PAUSE_SECONDS = 50, 0.05
SETTINGS = json.dumps(
    {
        "handlers": ["tests.integration.history_handler"],
        "webhook_allowed_networks": ["127.0.0.0/8"],
    }
)
QUEUES = "router.default,router.webhooks,router.slow"


class Publisher:
    """Publishes one event after the other until it is stopped."""

    def __init__(self) -> None:
        self.count = HISTORY
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> Publisher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _publish(self) -> None:
        while not self._is_over.wait(PAUSE_SECONDS):
            publish(TYPE, {"n": self.count})
            self.count += 1
        connections.close_all()


@contextmanager
def processes(folder: Path, broker_url: str) -> Iterator[None]:
    environment = {"ROUTER": SETTINGS}
    dispatcher = Server(
        [sys.executable, "manage.py", "dispatch"],
        folder / "dispatcher.log",
        env={
            **os.environ,
            **environment,
            "DATABASE_URL": database_url(),
            "BROKER_URL": broker_url,
            "PYTHONDEVMODE": "",
        },
        cwd=BASE_DIR,
    )
    with ExitStack() as stack:
        stack.callback(dispatcher.kill)
        worker = celery_worker(
            folder, broker_url, pool="threads", queues=QUEUES, environment=environment
        )
        # All is settled then: to stop in good order would only take time.
        stack.callback(stack.enter_context(worker).kill)
        wait_until(has_dispatcher)
        yield


@pytest.mark.usefixtures("transactional_db")
def test_late_subscribers_get_everything_once_while_a_publisher_goes_on(
    client: Client, tmp_path: Path, broker_url: str, settings: Any
) -> None:
    networks = {"WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}
    settings.ROUTER = {**settings.ROUTER, **networks}
    key = a_key(Scope.MANAGE, Scope.CONSUME)

    def call(path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = send(client, "POST", path, body, key=key)
        assert response.status_code < 300, response.content
        answer: dict[str, Any] = response.json()
        return answer

    def create(name: str, **fields: Any) -> None:
        call("subscribers/", {"name": name, "from": "beginning", **fields})

    def pull() -> int:
        """Take and acknowledge what is there; returns how many came in all."""
        body = {"max": 100}
        leased = call("subscribers/puller/pull/", body)["deliveries"]
        pulled.extend(
            (row["event"]["data"]["n"], row["position"], row["origin"])
            for row in leased
        )
        names = [{name: row[name] for name in ("id", "lease_token")} for row in leased]
        if names:
            call("deliveries/ack/", {"deliveries": names})
        return len(pulled)

    pulled: list[tuple[int, int, str]] = []
    with isolated_subscribers(), Receiver() as receiver:
        publish_events(HISTORY)
        while route_batch().event_count:
            pass
        with Publisher() as publisher, processes(tmp_path, broker_url):
            create("hook", transport="webhook", url=receiver.url, events=[TYPE])
            create("puller", transport="pull", events=[TYPE])
            wait_until(lambda: pull() > HISTORY)
            publisher.stop()
            total = publisher.count
            wait_until(lambda: pull() >= total)
            wait_until(lambda: len(receiver.received) >= total)
            wait_until(lambda: User.objects.count() >= total)
            wait_until(lambda: not Run.objects.exclude(state="complete").exists())

    posted = [
        (
            json.loads(each.body)["data"]["n"],
            int(each.headers["router-position"]),
            each.headers["router-origin"],
        )
        for each in receiver.received
    ]
    for name, got in (("hook", posted), ("puller", pulled)):
        live_from = Subscriber.objects.get(name=name).live_from
        assert Counter(n for n, _, _ in got) == Counter(range(total))
        origins = {(place > live_from, origin) for _, place, origin in got}
        assert origins == {(False, "backfill"), (True, "live")}
    handled = User.objects.values_list("username", flat=True)
    effects = Counter(int(name.split(":")[0]) for name in handled)
    assert effects == Counter(range(total))
