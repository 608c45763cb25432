"""Webhooks by the real processes, which die and are stopped in the midst of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from standardwebhooks import Webhook

from router.contract.signing import make_secret
from tests.conftest import QUICK
from tests.servers.postgresql import database_of_its_own
from tests.servers.receiving import Received, Receiver, status
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

SECRET = make_secret()
SUBSCRIBE = """
from router.models import SigningSecret, Subscriber
row = Subscriber.objects.create(
    name="erp", title="ERP", transport="webhook", url={url!r}, queue="webhooks",
    events=["parcel.arrived"], is_transactional=False,
)
SigningSecret.objects.create(subscriber=row, secret={secret!r})
"""
PUBLISH = """
from router.public import publish
for n in range({count}):
    publish("parcel.arrived", {{"n": n}})
"""
#: It looks again itself: to start a process takes longer than most deliveries.
ACKNOWLEDGED = """
import time
from router.models import Delivery
rows = Delivery.objects.filter(subscriber__name="erp")
done, deadline = rows.filter(state="ACKNOWLEDGED"), time.monotonic() + 120
while done.count() < {count} and time.monotonic() < deadline:
    time.sleep(0.2)
print(done.count(), "of", rows.count())
"""


def run(stack: Stack, code: str, **values: Any) -> str:
    return stack.manage("shell", "-v0", "-c", code.format(**values))


def assert_all_acknowledged(stack: Stack, count: int) -> None:
    output = run(stack, ACKNOWLEDGED, count=count)
    assert output.splitlines()[-1] == f"{count} of {count}"


def test_a_killed_worker_loses_no_webhook_and_a_stopped_one_doubles_none(
    start_stack: Callable[..., Stack], postgresql_url: str
) -> None:
    own = database_of_its_own(postgresql_url)
    with Receiver() as receiver, own as database_url:

        def be_slow(connection: Any, received: Received) -> None:
            receiver.over.wait(0.6)
            status(200)(connection, received)

        receiver.behave = be_slow
        stack = start_stack(
            WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
            DATABASE_URL=database_url,
            ROUTER=QUICK,
        )
        run(stack, SUBSCRIBE, url=receiver.url, secret=SECRET)
        run(stack, PUBLISH, count=12)
        wait_until(lambda: receiver.received)
        stack.kill("webhooks")
        assert_all_acknowledged(stack, 12)
        assert len({request.webhook_id for request in receiver.received}) == 12

        before = len(receiver.received)
        run(stack, PUBLISH, count=12)
        wait_until(lambda: len(receiver.received) > before)
        assert stack.stop() == 0
        stack.start()
        stack.wait_ready()
        assert_all_acknowledged(stack, 24)
        since = receiver.received[before:]
        assert set(Counter(request.webhook_id for request in since).values()) == {1}
        for request in receiver.received:
            Webhook(SECRET).verify(request.body, request.headers)
        assert stack.stop() == 0
