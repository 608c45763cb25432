"""Push: what is owed to a webhook is posted, signed, and settled by its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook

from router.contract.signing import make_secret
from router.models import Attempt, Delivery, SigningSecret, Subscriber
from router.public import publish
from router.testing import deliver_due, isolated_subscribers
from router.transports.webhook import event_loop
from tests.servers.receiving import Receiver, status

TYPE = "thing.happened"
SECRET = make_secret()
Subscribe = Callable[..., Subscriber]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as one:
        yield one


@pytest.fixture
def subscribe(transactional_db: None, settings: Any) -> Iterator[Subscribe]:
    """`subscribe(url, name=…, **fields)`: a webhook subscriber with a secret."""
    settings.ROUTER = {
        "WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"],
        "WEBHOOK_DEADLINE_SECONDS": 2,
    }

    def make(url: str, *, name: str = "erp", **fields: Any) -> Subscriber:
        defaults = {
            "title": name.upper(),
            "transport": "webhook",
            "url": url,
            "events": [TYPE],
            "queue": "webhooks",
            "is_transactional": False,
        }
        row = Subscriber.objects.create(name=name, **{**defaults, **fields})
        SigningSecret.objects.create(subscriber=row, secret=SECRET)
        return row

    with isolated_subscribers():
        yield make
    event_loop.close()


def happen(count: int = 1) -> list[int]:
    return [publish(TYPE, {"n": n}).number for n in range(count)]


def states() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("state", flat=True))


def test_an_event_is_posted_signed_and_acknowledged(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.behave = status(200, body=b"thanks")
    subscribe(receiver.url, custom_headers={"X-Key": "password"})
    (number,) = happen()

    assert deliver_due() == 1

    assert states() == ["ACKNOWLEDGED"]
    (received,) = receiver.received
    assert received.line == "POST /hooks HTTP/1.1"
    event = Webhook(SECRET).verify(received.body, received.headers)
    assert (event["type"], event["data"]) == (TYPE, {"n": 0})
    assert received.headers["content-type"].startswith("application/cloudevents+json")
    assert received.webhook_id == f"msg_{number}"
    assert received.headers["router-attempt"] == "1"
    assert received.headers["router-origin"] == "live"
    assert received.headers["x-key"] == "password"
    assert received.headers["accept-encoding"] == "identity"


def test_an_attempt_tells_what_was_sent_and_answered_and_no_secret(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.behave = status(200, body=b"thanks\x00\x1b[31m \xff<b>")
    subscribe(f"{receiver.url}?token=secret", custom_headers={"X-Key": "password"})
    happen()

    deliver_due()

    attempt = Attempt.objects.get()
    assert (attempt.http_status, attempt.answer) == (200, "thanks��[31m �<b>")
    assert attempt.request["url"] == f"{receiver.url}?…"
    assert attempt.request["headers"]["x-key".title()] == "(hidden)"
    told = json.dumps(attempt.request)
    signature = receiver.received[0].headers["webhook-signature"]
    assert not any(one in told for one in ("secret", "password", SECRET, signature))
