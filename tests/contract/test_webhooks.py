"""Push: what is owed to a webhook is posted, signed, and settled by its answer."""

from __future__ import annotations

import json
import socket
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery.signals import worker_shutting_down
from cryptography.fernet import Fernet
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from router.contract.signing import make_secret, webhook_id
from router.db.statements import fetched
from router.flow.deliver import claiming, remote
from router.flow.deliver.claiming import claim
from router.flow.deliver.delivering import deliver_chunk
from router.flow.deliver.settling import acknowledge
from router.flow.dispatch.dispatcher import mark_chunk
from router.flow.lease import Claim
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
from router.transports.webhook.transport import WebhookTransport
from tests.contract.steps import (
    SECRET,
    TYPE,
    Subscribe,
    mark,
    publish_and_route,
    publish_events,
    seconds_to_wait,
    states,
)
from tests.servers.node import run_script
from tests.servers.receiving import Received, Receiver, status


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
    told = json.dumps(attempt.request)
    signature = receiver.received[0].headers["webhook-signature"]
    assert not any(one in told for one in ("secret", "password", SECRET, signature))


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
    assert [accepts(one, old) for one in received] == [True, True, True, False]
    assert [accepts(one, new) for one in received] == [False, True, True, True]
    assert len({one.webhook_id for one in received}) == 1
    assert [one.headers["router-attempt"] for one in received] == ["1", "2", "3", "4"]
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
        {"secret": secret, "body": one.body.decode(), "headers": one.headers}
        for one in receiver.received
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


def test_gone_disables_the_subscriber_holds_what_it_is_owed_and_is_told_once(
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
    (told,) = EventRecord.objects.filter(type="router.subscriber.disabled")
    assert told.data["reason"].startswith("Gone")

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
    assert {one.subscriber_id for one in waiting} == {dead.pk}


def test_of_a_mixed_chunk_each_gets_its_own_answer(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    def by_number(connection: socket.socket, received: Received) -> None:
        n = json.loads(received.body)["data"]["n"]
        status(400 if n % 3 == 0 else 200)(connection, received)

    receiver.behave = by_number
    subscribe(receiver.url)
    publish_events(9)

    deliver_due()

    assert states() == ["PENDING", "ACKNOWLEDGED", "ACKNOWLEDGED"] * 3
    failed = Delivery.objects.filter(state="PENDING")
    assert {one.failures for one in failed} == {1}


@pytest.mark.parametrize("count", [1, 40])
def test_the_statements_of_a_chunk_of_yeses_do_not_grow_with_it(
    subscribe: Subscribe, receiver: Receiver, count: int, monkeypatch: Any
) -> None:
    # All answers in one wave, however slow the machine.
    monkeypatch.setattr("router.transports.webhook.transport.WAVE_SECONDS", 5.0)
    row = subscribe(receiver.url)
    publish_and_route(count)

    with CaptureQueriesContext(connection) as queries:
        ids = mark(row)
        deliver_chunk(row.pk, ids)

    assert len(ids) == count
    assert set(states()) == {"ACKNOWLEDGED"}
    assert len(queries) <= 26


def test_no_transaction_is_open_while_anything_is_posted(
    subscribe: Subscribe, receiver: Receiver, monkeypatch: Any
) -> None:
    was_open: list[bool] = []
    send = WebhookTransport.send

    def look(self: WebhookTransport, letters: Any) -> Any:
        was_open.append(connection.in_atomic_block)
        return send(self, letters)

    monkeypatch.setattr(WebhookTransport, "send", look)
    subscribe(receiver.url)
    publish_events()

    deliver_due()

    assert was_open == [False]


def test_a_lease_lost_in_a_wave_costs_the_others_nothing(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url)
    publish_and_route(5)
    ids = mark(row)

    def take_one_away(connection_: socket.socket, received: Received) -> None:
        Delivery.objects.filter(pk=ids[2]).update(lease_token=uuid.uuid4())
        connection.close()
        status(200)(connection_, received)

    receiver.behave = take_one_away
    deliver_chunk(row.pk, ids)

    assert Delivery.objects.get(pk=ids[2]).state == "LEASED"
    assert sorted(states()) == [*["ACKNOWLEDGED"] * 4, "LEASED"]
    assert Attempt.objects.count() == 4


def test_what_has_no_time_left_in_its_lease_is_given_back_unbegun(
    subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "LEASE_SECONDS": 1.5}
    row = subscribe(receiver.url)
    publish_and_route(3)

    deliver_chunk(row.pk, mark(row))

    assert receiver.received == []
    assert set(Delivery.objects.values_list("state", "attempts")) == {("PENDING", 0)}


def test_a_worker_that_is_asked_to_stop_begins_no_more(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    def stop_the_worker(connection: socket.socket, received: Received) -> None:
        worker_shutting_down.send(sender=None, sig="SIGTERM", how="Warm", exitcode=0)
        status(204)(connection, received)

    receiver.behave = stop_the_worker
    row = subscribe(receiver.url, in_flight_limit=3)
    publish_and_route(3)
    ids = mark(row)
    Subscriber.objects.update(in_flight_limit=1)

    deliver_chunk(row.pk, ids)

    assert len(receiver.received) == 1
    assert sorted(Delivery.objects.values_list("state", "attempts")) == [
        ("ACKNOWLEDGED", 1),
        ("PENDING", 0),
        ("PENDING", 0),
    ]


def test_a_breaker_that_opens_stops_the_rest_of_a_paced_chunk(
    subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "CHUNK_SECONDS": 5, "BREAKER_THRESHOLD": 2}
    receiver.behave = status(500)
    row = subscribe(receiver.url, rate_per_second=4)
    publish_and_route(10)

    deliver_chunk(row.pk, mark(row))

    assert 2 <= len(receiver.received) < 10
    assert set(states()) == {"PENDING"}
    counted = Delivery.objects.filter(attempts__gt=0).count()
    assert counted <= len(receiver.received)


def test_no_more_are_under_way_than_the_subscriber_takes(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url, in_flight_limit=5)
    publish_and_route(20)

    first = mark(row)
    assert len(first) == 5
    assert mark(row) == (), "one message is on its way"
    assert mark_chunk(row) is None, "nor for a dispatcher that looked before"

    held = claim(row.pk, first)
    assert held is not None
    assert mark(row) == (), "all places are taken"
    assert mark_chunk(row) is None

    acknowledge_all(held.only(*held.deliveries[:3]))
    assert len(mark(row)) == 3


def acknowledge_all(held: Claim) -> None:
    with transaction.atomic():
        acknowledge(held, run_ms={})


def test_no_more_chunks_are_under_way_than_the_router_grants(
    subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    settings.ROUTER = {
        **settings.ROUTER,
        "CHUNK_LIMIT": 2,
        "WEBHOOK_CHUNKS_IN_FLIGHT": 3,
    }
    row = subscribe(receiver.url)
    publish_and_route(20)

    for _ in range(3):
        assert claim(row.pk, mark(row)) is not None

    assert mark(row) == ()
    assert mark_chunk(row) is None


def test_a_rate_is_kept_from_chunk_to_chunk(
    subscribe: Subscribe, receiver: Receiver, wait_until: Callable[..., None]
) -> None:
    row = subscribe(receiver.url, rate_per_second=10)
    publish_and_route(6)

    def deliver() -> bool:
        ids = mark(row)
        deliver_chunk(row.pk, ids)
        assert len(ids) <= 2, "a quarter of a second's worth"
        return "PENDING" not in states()

    started_at = time.monotonic()
    wait_until(deliver)

    assert len(receiver.received) == 6
    assert time.monotonic() - started_at >= 4 / 10


def test_two_dispatchers_keep_one_rate(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url, rate_per_second=0.01)
    publish_and_route(3)

    deliver_chunk(row.pk, mark(row))

    assert len(receiver.received) == 1
    assert mark(row) == ()
    assert mark_chunk(row) is None, "though it was due when the other looked"


def test_what_is_pulled_is_not_dispatched_and_no_worker_claims_it(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url, transport="pull")
    publish_events()

    assert deliver_due() == 0
    assert claim(row.pk, [Delivery.objects.get().pk]) is None


@pytest.mark.parametrize("other", ["pull", "handler"])
def test_a_transport_that_changes_after_the_dispatch_is_respected(
    subscribe: Subscribe, receiver: Receiver, other: str
) -> None:
    row = subscribe(receiver.url)
    publish_and_route(2)
    ids = mark(row)

    Subscriber.objects.update(transport=other)
    deliver_chunk(row.pk, ids)

    assert receiver.received == []
    assert set(Delivery.objects.values_list("state", "attempts")) == {("PENDING", 0)}

    Subscriber.objects.update(transport="webhook")
    Delivery.objects.update(dispatched_until=None, due_at=F("created_at"))
    deliver_due()
    assert set(states()) == {"ACKNOWLEDGED"}


def test_a_transport_that_changes_within_the_claim_is_respected(
    subscribe: Subscribe, receiver: Receiver, monkeypatch: Any
) -> None:
    """It was leased as a webhook, and is pulled when the subscriber is read."""
    row = subscribe(receiver.url)
    publish_and_route(1)
    ids = mark(row)
    lease = claiming.read_changed

    def switch_in_the_midst(change: Any, read: Any, beside: Any, **values: Any) -> Any:
        leased, _ = lease(change, read, beside, **values)
        Subscriber.objects.update(transport="pull")
        return leased, fetched(beside.bound(**values))

    monkeypatch.setattr(claiming, "read_changed", switch_in_the_midst)
    deliver_chunk(row.pk, ids)

    assert receiver.received == []
    # Due at once: the puller need not wait.
    assert list(Delivery.objects.due().values_list("attempts")) == [(0,)]


def test_a_claim_reads_all_that_posting_needs_but_secrets(
    subscribe: Subscribe, receiver: Receiver
) -> None:
    row = subscribe(receiver.url)
    publish_and_route(1)
    claimed = claim(row.pk, mark(row))
    assert claimed is not None

    with CaptureQueriesContext(connection) as captured:
        remote._terms(claimed.subscriber, time.monotonic())

    assert len(captured) == 0


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
