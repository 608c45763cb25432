"""Push: what is owed to a webhook is posted, signed, and settled by its answer."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import InterfaceError, OperationalError
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from router.contract.signing import make_secret, webhook_id
from router.flow.deliver import remote
from router.models import (
    Attempt,
    Delivery,
    EventRecord,
    FailedTask,
    SigningSecret,
    Subscriber,
)
from router.operate.declared import resume
from router.public import publish
from router.testing import deliver_due, skip_waits
from router.transports.webhook.posting import MAX_BYTES_KEPT
from tests.contract.steps import (
    SECRET,
    TYPE,
    Subscribe,
    publish_events,
    seconds_to_wait,
    states,
)
from tests.servers.node import run_script
from tests.servers.receiving import Received, Receiver, status

pytestmark = pytest.mark.one_database


def test_an_event_is_posted_signed_and_acknowledged(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.behave = status(200, body=b"thanks")
    subscribe(receiver.url, custom_headers={"X-Key": "password"})
    publish_events()

    assert deliver_due() == 1

    assert states() == ["ACKNOWLEDGED"]
    (received,) = receiver.received
    assert received.line == "POST /hooks HTTP/1.1"
    event = Webhook(SECRET).verify(received.body, received.headers)
    assert (event["type"], event["data"]) == (TYPE, {"n": 0})
    assert received.headers["content-type"].startswith("application/cloudevents+json")
    assert received.webhook_id == webhook_id(event["source"], event["id"])
    assert received.headers["router-attempt"] == "1"
    assert received.headers["router-origin"] == "live"
    assert received.headers["router-position"] == "1"
    assert received.headers["x-key"] == "password"
    assert received.headers["accept-encoding"] == "identity"


def test_an_attempt_tells_what_was_sent_and_answered_and_no_secret(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.behave = status(200, body=b"thanks\x00\x1b[31m \xff<b>")
    subscribe(f"{receiver.url}?token=secret", custom_headers={"X-Key": "password"})
    publish_events()

    deliver_due()

    attempt = Attempt.objects.get()
    assert (attempt.http_status, attempt.answer) == (200, "thanks��[31m �<b>")
    assert attempt.request["url"] == f"{receiver.url}?token=…"
    assert attempt.request["headers"]["x-key".title()] == "(hidden)"
    text = json.dumps(attempt.request)
    signature = receiver.received[0].headers["webhook-signature"]
    assert not any(each in text for each in ("secret", "password", SECRET, signature))


def test_an_answer_that_repeats_a_secret_is_kept_without_it(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    token = "aB3dE5fG7hI9jK1l"
    body = b" " * (MAX_BYTES_KEPT - 8) + f"no /{token} or password".encode()
    receiver.behave = status(404, body=body)
    subscribe(f"{receiver.url}/{token}", custom_headers={"X-Key": "password"})
    publish_events()

    deliver_due()

    attempt = Attempt.objects.get()
    assert token in receiver.received[0].line
    kept = json.dumps([attempt.request, attempt.answer, attempt.error])
    assert not any(part in kept for part in (token[:3], "passw"))


def test_an_answer_that_repeats_its_request_is_kept_without_its_proofs(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    """Frameworks do so on their pages of errors, and receivers name a wrong token."""
    subscribe(receiver.url, custom_headers={"Authorization": "Bearer token-1"})

    def echo(*call: Any) -> Any:
        sent = receiver.received[-1].headers["webhook-signature"]
        return status(404, body=json.dumps([sent, "wrong: TOKEN-1"]).encode())(*call)

    receiver.behave = echo
    publish_events()

    deliver_due()

    assert Attempt.objects.get().answer == '["v1,…", "wrong: …"]'


def test_each_attempt_is_signed_afresh_with_the_same_id_by_every_live_secret(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    """Before, during and after a rotation."""
    answers = [status(400), status(400), status(400), status(200)]
    receiver.behave = lambda *call: answers.pop(0)(*call)
    row = subscribe(receiver.url)
    publish_events()
    old, new = SECRET, make_secret()

    deliver_due()
    SigningSecret.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    SigningSecret.objects.create(subscriber=row, secret=new)
    for _ in range(2):
        skip_waits()
        deliver_due()
    SigningSecret.objects.filter(expires_at__isnull=False).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    skip_waits()
    deliver_due()

    received = receiver.received
    assert [accepts(request, old) for request in received] == [True, True, True, False]
    assert [accepts(request, new) for request in received] == [False, True, True, True]
    assert len({request.webhook_id for request in received}) == 1
    assert [request.headers["router-attempt"] for request in received] == [
        "1",
        "2",
        "3",
        "4",
    ]
    assert states() == ["ACKNOWLEDGED"]


def accepts(received: Received, secret: str) -> bool:
    try:
        Webhook(secret).verify(received.body, received.headers)
    except WebhookVerificationError:
        return False
    return True


#: Writes whether each of the cases {secret, body, headers} verifies.
VERIFY = """
const { Webhook } = require("standardwebhooks");
const verifies = ({ secret, body, headers }) => {
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
};
console.log(JSON.stringify(JSON.parse(process.argv[1]).map(verifies)));
"""


def test_npm_s_verifier_agrees_with_python_s(
    subscribe: Subscribe, receiver: Receiver, npm_packages: Path
) -> None:
    second, stranger = make_secret(), make_secret()
    row = subscribe(receiver.url)
    publish_events()
    deliver_due()
    SigningSecret.objects.create(subscriber=row, secret=second)
    publish(TYPE, {"text": "ü ✓ \U0001f3ba </script>"})
    deliver_due()
    secrets = (SECRET, second, stranger)

    cases = [
        {"secret": secret, "body": request.body.decode(), "headers": request.headers}
        for request in receiver.received
        for secret in secrets
    ]
    verdicts = json.loads(run_script(VERIFY, json.dumps(cases), modules=npm_packages))

    assert verdicts == [
        accepts(received, secret)
        for received in receiver.received
        for secret in secrets
    ]
    assert verdicts == [True, False, False, True, True, False]


def test_a_no_is_tried_again_by_the_table_and_in_the_end_a_person_is_asked(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.behave = status(415, body=b"JSON only")
    subscribe(receiver.url, waits_seconds=[100, 1000])
    publish_events()
    waits = []

    for _ in range(3):
        deliver_due()
        waits.append(seconds_to_wait(Delivery.objects.get()))
        skip_waits()

    assert 79 < waits[0] < 121
    assert 799 < waits[1] < 1201
    failed = FailedTask.objects.get()
    assert (failed.reason, failed.error) == ("EXHAUSTED", "HttpStatus: 415")
    assert set(Attempt.objects.values_list("http_status", "answer")) == {
        (415, "JSON only")
    }


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(("asked", "waited"), [("1234", 1234), ("999999", 86_400)])
def test_a_wait_that_the_receiver_names_is_kept_exactly(
    subscribe: Subscribe, receiver: Receiver, code: int, asked: str, waited: int
) -> None:
    receiver.behave = status(code, f"retry-after: {asked}")
    subscribe(receiver.url)
    publish_events()

    deliver_due()

    assert waited - 10 < seconds_to_wait(Delivery.objects.get()) <= waited


def test_gone_disables_the_subscriber_holds_its_deliveries_and_is_reported_once(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.behave = status(410)
    row = subscribe(receiver.url)
    publish_events(3)

    deliver_due()
    skip_waits()
    deliver_due()

    row.refresh_from_db()
    assert row.state == "disabled"
    assert row.state_reason.startswith("Gone (HTTP 410)")
    assert len(receiver.received) == 3
    assert set(
        Delivery.objects.filter(event__type=TYPE).values_list(
            "state", "attempts", "failures"
        )
    ) == {("PENDING", 1, 0)}
    (event,) = EventRecord.objects.filter(type="router.subscriber.disabled")
    assert event.data["reason"].startswith("Gone")

    receiver.behave = status(204)
    resume(row.pk, by="olga")
    deliver_due()
    assert set(states()) == {"ACKNOWLEDGED"}


def test_one_dead_endpoint_among_many_leaves_the_others_alone(
    subscribe: Subscribe, receiver: Receiver, free_port: int
) -> None:
    subscribe(f"http://127.0.0.1:{free_port}/", name="dead")
    for n in range(99):
        subscribe(receiver.url, name=f"healthy_{n}")
    publish_events(3)

    deliver_due()
    skip_waits()
    deliver_due()

    assert len(receiver.received) == 297
    dead = Subscriber.objects.get(name="dead")
    assert dead.breaker == "open"
    waiting = Delivery.objects.filter(state="PENDING")
    assert {each.subscriber_id for each in waiting} == {dead.pk}


def test_without_a_secret_nothing_is_posted_unsigned(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe(receiver.url)
    SigningSecret.objects.all().delete()
    publish_events()

    deliver_due()

    assert receiver.received == []
    assert Attempt.objects.get().error.startswith("SecretMissing: ")


def test_a_lost_key_holds_the_webhooks_that_need_it_and_nobody_else(
    subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    subscribe(receiver.url, name="old", custom_headers={"X-Key": "password"})
    settings.ROUTER = {
        **settings.ROUTER,
        "ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
    }
    subscribe(receiver.url, name="new")
    publish_events()

    deliver_due()

    assert len(receiver.received) == 1
    delivery = Delivery.objects.get(subscriber__name="old")
    assert (delivery.state, delivery.attempts, delivery.failures) == ("PENDING", 0, 0)
    assert seconds_to_wait(delivery) > 30


def test_an_address_that_is_refused_fails_with_the_reason(
    subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    settings.ROUTER = {"WEBHOOK_ALLOWED_NETWORKS": []}
    subscribe(receiver.url)
    publish_events()

    deliver_due()

    assert receiver.connection_count == 0
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.failures) == ("PENDING", 1)
    error = Attempt.objects.get().error
    assert error.startswith("AddressRefused: ")
    assert "WEBHOOK_ALLOWED_NETWORKS" in error


def test_an_answer_is_kept_though_the_database_stumbles(
    subscribe: Subscribe, receiver: Receiver, monkeypatch: Any
) -> None:
    """The receiver has said yes: it must not be asked again for our trouble."""
    troubles = [OperationalError("database is locked"), InterfaceError("cut off")]
    write = remote.acknowledge

    def stumble(*args: Any, **options: Any) -> None:
        if troubles:
            raise troubles.pop()
        write(*args, **options)

    monkeypatch.setattr(remote, "acknowledge", stumble)
    subscribe(receiver.url)
    publish_events(3)

    deliver_due()

    assert set(states()) == {"ACKNOWLEDGED"}
    assert len(receiver.received) == 3
