"""A bridge from SQS that nothing comes by: it asks rarely, and ends at once."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest

from router.transports.aws.client import open_client
from router.transports.kinds import find_bridge
from router.transports.sqs import consumer as sqs
from tests.servers.fauxqs import Fauxqs
from tests.servers.foreign import Received
from tests.servers.foreign_aws import ForeignSqs
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.xdist_group("fauxqs")


def test_an_idle_consumer_asks_rarely_ends_at_once_and_keeps_no_message(
    fauxqs_server: Fauxqs, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()

    def counting(*arguments: Any, **options: Any) -> Any:
        client = open_client(*arguments, **options)
        client.meta.events.register(
            "before-call", lambda model, **_: calls.update([model.name])
        )
        return client

    monkeypatch.setattr(sqs, "open_client", counting)
    foreign = ForeignSqs(fauxqs_server)
    feed = foreign.make_feed()
    bridge = find_bridge("legacy", {"legacy": feed})
    consumer = sqs.Consumer(bridge.feed)

    for _ in range(10):
        assert not consumer.receive(limit=100, wait_seconds=0.2)
        assert consumer.waiting() == 0
    begun_at = time.monotonic()
    consumer.close()

    assert time.monotonic() - begun_at < sqs.POLL_SECONDS / 4
    assert calls == {"ReceiveMessage": 2, "GetQueueAttributes": 1}
    # Its request waits still, and takes what comes now.
    foreign.send(feed, [Received(body=b"{}", content_type="application/json")])
    wait_until(lambda: len(foreign.take_all(feed["queue_url"])) == 1)
