"""The adapter of the examples: what Saleor signed, and nothing else, is a purchase."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from router.models import EventRecord
from tests.acceptance.examples import Service, service
from tests.integration.apart import Apart
from tests.integration.lines import Line
from tests.integration.saleor import (
    DETACHED,
    ORDER_ID,
    Saleor,
    base64url,
    encoded,
    fully_paid,
    saleor,
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.usefixtures("transactional_db", "empty_router"),
]
BODY = json.dumps(fully_paid()).encode()
Forgery = Callable[[Saleor], tuple[str, bytes]]


class Adapter:
    """The adapter as it runs, and the store that it belongs to."""

    def __init__(self, apart: Apart, store: Saleor, running: Service) -> None:
        self.store = store
        self.running = running
        self._apart = apart

    def send(self, signature: str, body: bytes) -> int:
        headers = {"Saleor_Signature": signature, "Saleor_Event": "order_fully_paid"}
        return self._apart.call("POST", "/", body, **headers)[0]

    def send_signed(self, payload: Any) -> int:
        body = json.dumps(payload).encode()
        return self.send(self.store.sign(body), body)


@contextmanager
def running_adapter(folder: Path, router_url: str, key: str) -> Iterator[Adapter]:
    with saleor() as store:
        environment = {
            "SALEOR_URL": store.url,
            "ROUTER_URL": router_url,
            "ROUTER_KEY": key,
            "CUSTOMER_KEY": "a long random text",
        }
        apart = Apart("saleor_adapter", folder, **environment)
        with service(apart.program, folder, **apart.environment) as running:
            yield Adapter(apart, store, running)


@pytest.fixture
def adapter(tmp_path: Path, line: Line, api_key: str) -> Iterator[Adapter]:
    """Before a router that can be cut off."""
    with running_adapter(tmp_path, line.url, api_key) as started:
        yield started


def test_a_paid_order_is_a_purchase_as_the_schema_has_it(adapter: Adapter) -> None:
    assert adapter.send_signed(fully_paid()) == 204

    event = EventRecord.objects.get()
    customer = event.data["customer"]["id"]
    assert (event.source, event.event_id) == (adapter.store.url, ORDER_ID)
    assert (event.type, event.subject) == ("purchase.completed", ORDER_ID)
    assert event.partitionkey == customer
    assert event.dataschema == "urn:fanfare:purchase.completed:1"
    assert event.data == {
        "order": {
            "id": ORDER_ID,
            "number": "1001",
            "placed_at": "2026-01-02T03:04:05.123456+00:00",
            "currency": "EUR",
        },
        "customer": {"id": customer, "name": "Ada Horn", "email": "ada@example.com"},
        "shipping_address": {
            "name": "Ada Horn",
            "line1": "Bandstand Lane 4",
            "line2": "",
            "postal_code": "10115",
            "city": "BERLIN",
            "country": "DE",
        },
        "lines": [
            {
                "sku": "CAR-301",
                "name": "Quickwater valve oil (50 ml)",
                "quantity": 2,
                "unit_price_minor": 690,
                "total_minor": 1380,
            }
        ],
        "totals": {"subtotal_minor": 1380, "shipping_minor": 590, "total_minor": 1970},
        "payment": {"method": "card", "last4": "4242"},
    }


def test_an_order_that_comes_twice_is_one_event(adapter: Adapter) -> None:
    assert adapter.send_signed(fully_paid()) == 204
    assert adapter.send_signed(fully_paid()) == 204

    assert EventRecord.objects.count() == 1
    assert "known already" in adapter.running.log_text()


def test_a_customer_is_the_same_under_the_same_address(adapter: Adapter) -> None:
    adapter.send_signed(fully_paid())
    adapter.send_signed(fully_paid(id="T3JkZXI6MTI=", userEmail="Ada@example.com"))

    events = EventRecord.objects.order_by("number")
    assert events[1].event_id == "T3JkZXI6MTI"
    assert events[0].partitionkey == events[1].partitionkey


def of_another_body(store: Saleor) -> tuple[str, bytes]:
    return store.sign(BODY), json.dumps(fully_paid(number="1002")).encode()


def of_another_store(_: Saleor) -> tuple[str, bytes]:
    with saleor() as other:
        return other.sign(BODY), BODY


def of_another_key_id(store: Saleor) -> tuple[str, bytes]:
    return store.sign(BODY, kid="2\r\nX-Injected: yes"), BODY


def by_nobody(_: Saleor) -> tuple[str, bytes]:
    return "", BODY


def by_no_algorithm(_: Saleor) -> tuple[str, bytes]:
    return f"{encoded({**DETACHED, 'alg': 'none'})}..", BODY


def by_the_public_key_as_a_secret(store: Saleor) -> tuple[str, bytes]:
    public = store.private_key.public_key()
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    protected = encoded({**DETACHED, "alg": "HS256"})
    mac = hmac.digest(secret, protected.encode() + b"." + BODY, hashlib.sha256)
    return f"{protected}..{base64url(mac)}", BODY


def by_a_customers_access_token(store: Saleor) -> tuple[str, bytes]:
    return store.access_token({"email": "mallory@example.com"}), BODY


def by_the_parts_of_an_access_token(store: Saleor) -> tuple[str, bytes]:
    """The key did sign these bytes."""
    protected, payload, signature = store.access_token(fully_paid()).split(".")
    return f"{protected}..{signature}", payload.encode()


@pytest.mark.parametrize(
    "forge",
    [
        of_another_body,
        of_another_store,
        of_another_key_id,
        by_nobody,
        by_no_algorithm,
        by_the_public_key_as_a_secret,
        by_a_customers_access_token,
        by_the_parts_of_an_access_token,
    ],
)
def test_what_the_store_did_not_sign_is_no_purchase(
    adapter: Adapter, forge: Forgery
) -> None:
    assert adapter.send(*forge(adapter.store)) == 401

    assert not EventRecord.objects.exists()
    assert "X-Injected" not in adapter.running.log_text()


@pytest.mark.parametrize(
    "payload",
    [
        {**fully_paid(), "__typename": "OrderCreated"},
        {"order": fully_paid()["order"]},
        fully_paid(shippingAddress=None, billingAddress=None),
        fully_paid(transactions=[{"paymentMethodDetails": None}]),
        fully_paid(created="yesterday"),
    ],
)
def test_what_is_no_paid_order_is_refused(adapter: Adapter, payload: Any) -> None:
    assert adapter.send_signed(payload) == 422

    assert not EventRecord.objects.exists()


def test_what_the_router_refuses_is_refused_without_the_customers_data(
    tmp_path: Path, live_server: Any, api_key: str
) -> None:
    with running_adapter(tmp_path, live_server.url, api_key) as adapter:
        statuses = [
            adapter.send_signed(fully_paid(userEmail="nobody-there")),
            adapter.send_signed(fully_paid()),
            adapter.send_signed(fully_paid(number="1002")),
        ]

    assert statuses == [422, 204, 422]
    assert "Invalid /data/customer/email" in adapter.running.log_text()
    assert "nobody-there" not in adapter.running.log_text()


def test_the_store_is_asked_to_send_again_when_the_router_or_its_keys_are_not_there(
    adapter: Adapter, line: Line
) -> None:
    adapter.store.is_down = True
    without_keys = adapter.send_signed(fully_paid())
    adapter.store.is_down = False
    line.cuts_before = 1
    without_router = adapter.send_signed(fully_paid())
    line.cuts_after = 1
    without_answer = adapter.send_signed(fully_paid())

    assert (without_keys, without_router, without_answer) == (503, 503, 503)
    assert adapter.send_signed(fully_paid()) == 204
    assert EventRecord.objects.count() == 1
