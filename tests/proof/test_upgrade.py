"""From the release before to this one, with work in flight and people on the site."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from config.env import BASE_DIR
from tests.acceptance.purchases import SIX
from tests.chaos.checker import History, Outcome, Pair, Rules, Verdict, check
from tests.chaos.cursors import CursorState, broken_rules
from tests.proof.crowd import Crowd
from tests.proof.failing import call
from tests.proof.test_poison import OPEN
from tests.proof.upgraded_site import KINDS, Site
from tests.servers.last_release import unpack_last_release
from tests.servers.postgresql import database_of_its_own
from tests.servers.receiving import Received, Receiver, status
from tests.servers.waiting import wait_until

#: So many orders of each subscriber outside are failed, leased and retried before.
EACH = 3
LEASE_SECONDS = 600
SECONDS = 300
#: It is refused often, and never given up on.
PATIENT = {"waits_seconds": [2], "max_failures": 100}
CURSORS = """
import json
from tests.chaos.project.cursor_states import cursor_states
print(json.dumps(cursor_states()))
"""
#: Waiting, retried, leased, given up.
IN_FLIGHT = """
    SELECT count(*) FILTER (WHERE state = 'PENDING' AND attempts = 0),
        count(*) FILTER (WHERE state = 'PENDING' AND attempts > 0),
        count(*) FILTER (WHERE state = 'LEASED'),
        count(*) FILTER (WHERE state = 'DEAD')
    FROM router_delivery
"""
#: Of the subscribers that keep rows: an order's id, and who did its work.
EFFECTS = """
    SELECT event.subject, effect.name FROM (
        SELECT 'inventory' AS name, event_id FROM inventory_stockmovement
            WHERE reason = 'sold'
        UNION ALL SELECT 'fulfilment', event_id FROM fulfilment_shipment
        UNION ALL SELECT 'order_history', event_id FROM order_history_purchaserecord
        UNION ALL SELECT 'customer_profiles', event_id
            FROM customer_profiles_countedpurchase
    ) AS effect JOIN router_eventrecord AS event USING (event_id)
    UNION ALL SELECT order_id, 'ledger' FROM ledger
"""
#: Of those that write files.
FOLDERS = {"receipts": "mail", "slack_alerts": "slack"}
FAILED = """
    SELECT event.subject, subscriber.name FROM router_failedtask AS task
        JOIN router_eventrecord AS event ON event.number = task.event_id
        JOIN router_subscriber AS subscriber ON subscriber.id = task.subscriber_id
"""


class Warehouse:
    """A receiver of webhooks that is not quite well before the upgrade: it takes some
    orders, refuses the next ones each time, and leaves one without an answer."""

    def __init__(self) -> None:
        self.taken: Counter[Pair] = Counter()
        self.is_well = threading.Event()
        self.is_to_wait = threading.Event()
        self.is_waiting = threading.Event()
        self._refused: set[str] = set()

    def answer(self, wire: socket.socket, received: Received) -> None:
        order = json.loads(received.body)["subject"]
        if self._refuses(order):
            status(503)(wire, received)
        elif self.is_to_wait.is_set() and not self.is_waiting.is_set():
            self.is_waiting.set()
            self.is_well.wait()
        else:
            status(204)(wire, received)
            self.taken[order, "warehouse"] += 1

    def _refuses(self, order: str) -> bool:
        if len(self.taken) >= EACH > len(self._refused):
            self._refused.add(order)
        return order in self._refused and not self.is_well.is_set()


class Erp:
    """Pulls over HTTP, from any of the web processes."""

    def __init__(self, site: Site, key: str) -> None:
        self.taken: Counter[Pair] = Counter()
        self._site = site
        self._key = key

    def pull(self, count: int) -> list[dict[str, Any]]:
        """At most so many deliveries, leased for longer than the test takes."""
        wanted = {"max": count, "lease_seconds": LEASE_SECONDS, "wait_seconds": 2}
        answer = self._post("/api/subscribers/erp/pull/", wanted)
        return list(answer["deliveries"])

    def pull_exactly(self, count: int) -> list[dict[str, Any]]:
        """So many, however long they take to come."""
        pulled: list[dict[str, Any]] = []
        while len(pulled) < count:
            pulled += self.pull(count - len(pulled))
        return pulled

    def acknowledge(self, deliveries: list[dict[str, Any]]) -> None:
        self._settle("ack", deliveries)
        self.taken.update((each["event"]["subject"], "erp") for each in deliveries)

    def fail(self, deliveries: list[dict[str, Any]]) -> None:
        self._settle("nack", deliveries)

    def _settle(self, how: str, deliveries: list[dict[str, Any]]) -> None:
        leases = [
            {"id": each["id"], "lease_token": each["lease_token"]}
            for each in deliveries
        ]
        if leases:
            self._post(f"/api/deliveries/{how}/", {"deliveries": leases})

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        with self._site.front.url() as url:
            return call(url, self._key, path, body)


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The folder of the release before."""
    folder = tmp_path / "before"
    unpack_last_release(folder)
    return folder


@pytest.fixture
def site(
    tmp_path: Path, postgresql_url: str, broker_url: str, before: Path
) -> Iterator[Site]:
    """One of the release before, with all its programs."""
    with (
        database_of_its_own(postgresql_url) as url,
        Site(tmp_path, DATABASE_URL=url, BROKER_URL=broker_url) as started,
    ):
        started.prepare(before)
        try:
            started.start_all(before)
            yield started
        finally:
            print(started.logs())


def test_an_upgrade_loses_and_doubles_nothing(site: Site, before: Path) -> None:
    warehouse = Warehouse()
    with Receiver(warehouse.answer) as receiver:
        erp = subscribe(site, before, receiver.url)
        with Crowd(site.front) as crowd:
            leased = leave_in_flight(site, crowd, warehouse, erp)
            failed = site.rows(FAILED)
            site.manage(BASE_DIR, "migrate", "-v0")
            warehouse.is_well.set()
            for kind in KINDS:
                crowd.buy_more(1)
                site.restart(kind, BASE_DIR)
            crowd.buy_more(3 * EACH)
        assert crowd.errors == []
        erp.acknowledge(leased)
        wait_for_the_end(site, erp)

    effects = effects_of(site, crowd.bought) + warehouse.taken + erp.taken
    verdict = judge(site, crowd.bought, effects, failed)
    assert verdict.is_clean, verdict
    states = json.loads(site.manage(BASE_DIR, "shell", "-v0", "-c", CURSORS))
    assert broken_rules(map(CursorState.of, states)) == []


def leave_in_flight(
    site: Site, crowd: Crowd, warehouse: Warehouse, erp: Erp
) -> list[dict[str, Any]]:
    """Deliveries of each state; returns those that the ERP has leased."""
    crowd.buy_more(3 * EACH)
    erp.fail(erp.pull_exactly(EACH))
    leased = erp.pull_exactly(EACH)
    warehouse.is_to_wait.set()
    wait_until(warehouse.is_waiting.is_set)
    # What this worker has under way stays leased. It is started again.
    site.running["webhooks"].server.kill()
    [in_flight] = site.rows(IN_FLIGHT)
    waiting, retried, under_lease, dead = in_flight
    assert min(waiting, retried, under_lease - EACH) > 0, in_flight
    assert dead == EACH
    return leased


def wait_for_the_end(site: Site, erp: Erp) -> None:
    def is_over() -> bool:
        erp.acknowledge(erp.pull(100))
        return not site.rows(OPEN)

    wait_until(is_over, SECONDS)


def subscribe(site: Site, release: Path, url: str) -> Erp:
    """Two subscribers outside, which are registered by the API."""
    scopes = ("--scopes", "publish,consume,manage")
    key = site.manage(release, "create_api_key", "outside", *scopes).strip()
    outside: Mapping[str, Mapping[str, Any]] = {
        "erp": {"transport": "pull", "max_failures": 1},
        "warehouse": {"transport": "webhook", "url": url, **PATIENT},
    }
    for name, fields in outside.items():
        body = {"name": name, "events": ["purchase.completed"], **fields}
        with site.front.url() as web:
            call(web, key, "/api/subscribers/", body)
    return Erp(site, key)


def effects_of(site: Site, orders: list[str]) -> Counter[Pair]:
    """What each of the handlers has done for each order."""
    effects = Counter[Pair](site.rows(EFFECTS))
    for name, folder in FOLDERS.items():
        files = (site.var_dir / folder).iterdir()
        texts = [file.read_text() for file in files]
        for order in orders:
            number = f"{order[:4]}-{order[4:8]}".upper()
            effects[order, name] = sum(number in text for text in texts)
    return effects


def judge(
    site: Site, bought: list[str], effects: Counter[Pair], failed: list[Pair]
) -> Verdict:
    orders = site.rows("SELECT public_id FROM shop_order")
    history = History(
        outcomes=dict.fromkeys(bought, Outcome.OK),
        recorded=frozenset(order for (order,) in orders),
        effects=effects,
        failed_tasks=Counter(site.rows(FAILED)),
    )
    rules = Rules(
        subscribers=sorted({*SIX, "ledger", "warehouse", "erp"}),
        # Its worker was killed between an answer and the note of it.
        at_least_once={"warehouse"},
        is_refused=lambda pair: pair in failed,
    )
    return check(history, rules)
