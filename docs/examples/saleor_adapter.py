"""Takes the webhooks of a Saleor store, and publishes each paid order as a purchase.

    SALEOR_URL=… ROUTER_URL=… ROUTER_KEY=… CUSTOMER_KEY=… python3 saleor_adapter.py

It needs PyJWT with `cryptography`, and `fanfare-client`; and Saleor ≥ 3.22. There, make
an app that may manage orders, with a webhook: the asynchronous event "Order fully
paid", this service as its target, `QUERY` below as its subscription query, and no
secret key. Saleor then signs the body with its private key (RS256, a JWS with a
detached payload, RFC 7515 and 7797) in the header `Saleor-Signature`:
https://docs.saleor.io/developer/extending/webhooks/payload-signature

Unless the answer is 2xx Saleor sends again, up to five times within minutes; after that
`eventDeliveryRetry` of its API does, for 14 days:
https://docs.saleor.io/developer/extending/webhooks/asynchronous-events
https://docs.saleor.io/developer/extending/webhooks/troubleshooting
The adapter keeps nothing: an order that comes twice is one event, by its id.

Environment:
    SALEOR_URL     where Saleor is; the source of the events
    ROUTER_URL     where the router is
    ROUTER_KEY     an API key with the scope `publish`, bound to that source
    CUSTOMER_KEY   a long random text, which makes the customers' ids; keep it
    HOST, PORT     where it listens (default: 127.0.0.1, 9400)
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from fanfare_client import Client, ClientError, Conflict, Invalid

#: `__typename` is in the signed body; the header `Saleor-Event` is not signed.
QUERY = """
    subscription {
      event {
        __typename
        ... on OrderFullyPaid {
          order {
            id number created userEmail
            billingAddress { ...address }
            shippingAddress { ...address }
            lines {
              productSku productName variantName quantity
              unitPrice { gross { fractionalAmount } }
              totalPrice { gross { fractionalAmount } }
            }
            subtotal { gross { fractionalAmount } }
            shippingPrice { gross { fractionalAmount } }
            total { gross { fractionalAmount currency } }
            transactions {
              paymentMethodDetails {
                ... on CardPaymentMethodDetails { lastDigits }
              }
            }
          }
        }
      }
    }
    fragment address on Address {
      firstName lastName streetAddress1 streetAddress2 postalCode city
      country { code }
    }
"""
MAX_BODY_BYTES = 1024 * 1024
#: With those for the router, fewer than the 18 that Saleor waits for an answer.
KEYS_SECONDS = 3
ROUTER_SECONDS = 5
logger = logging.getLogger(__name__)


class Refused(Exception):
    """A webhook that is not published: the status, and why."""


def verify(keys: jwt.PyJWKClient, token: str, body: bytes) -> None:
    """Raises `Refused` unless Saleor signed this body."""
    try:
        # Of SALEOR_URL, never of the header `Saleor-Api-Url`: a forger writes that.
        key = keys.get_signing_key(jwt.get_unverified_header(token).get("kid"))
        signed = jwt.PyJWS().decode_complete(
            token, key, algorithms=["RS256"], detached_payload=body
        )
    except jwt.PyJWKClientConnectionError as error:
        raise Refused(503, f"no keys of Saleor: {type(error).__name__}") from None
    except jwt.PyJWTError as error:
        # The class alone: its words may quote what a forger wrote.
        raise Refused(401, f"Saleor-Signature: {type(error).__name__}") from None
    # Saleor signs its customers' access tokens with the same key, and an older PyJWT
    # takes such a token, with its payload inside, beside any body.
    if signed["header"].get("b64") is not False:
        raise Refused(401, "Saleor-Signature is not of this body")


def purchase(order: dict[str, Any], customer_key: bytes) -> dict[str, Any]:
    """The data of `purchase.completed`. Raises `LookupError` or `TypeError`."""
    address = order["shippingAddress"] or order["billingAddress"]
    name = f"{address['firstName']} {address['lastName']}".strip()
    email = order["userEmail"]
    return {
        "order": {
            "id": opaque(order["id"]),
            "number": order["number"],
            "placed_at": order["created"],
            "currency": order["total"]["gross"]["currency"],
        },
        "customer": {
            "id": customer_id(email, customer_key),
            "name": name,
            "email": email,
        },
        "shipping_address": {
            "name": name,
            "line1": address["streetAddress1"],
            "line2": address["streetAddress2"],
            "postal_code": address["postalCode"],
            "city": address["city"],
            "country": address["country"]["code"],
        },
        "lines": [line(each) for each in order["lines"]],
        "totals": {
            "subtotal_minor": minor(order["subtotal"]),
            "shipping_minor": minor(order["shippingPrice"]),
            "total_minor": minor(order["total"]),
        },
        "payment": {"method": "card", "last4": last4(order["transactions"])},
    }


def line(each: dict[str, Any]) -> dict[str, Any]:
    variant = f" ({each['variantName']})" if each["variantName"] else ""
    return {
        "sku": each["productSku"],
        "name": f"{each['productName']}{variant}",
        "quantity": each["quantity"],
        "unit_price_minor": minor(each["unitPrice"]),
        "total_minor": minor(each["totalPrice"]),
    }


def minor(price: dict[str, Any]) -> int:
    """Never made of `amount`: that is a decimal, and yen have no cents."""
    return int(price["gross"]["fractionalAmount"])


def last4(transactions: list[dict[str, Any]]) -> str:
    """Of the card. Raises `LookupError`: the schema of purchases knows no other way."""
    for each in transactions:
        if digits := (each["paymentMethodDetails"] or {}).get("lastDigits"):
            return str(digits)
    raise LookupError("no card; give purchase.completed a version that knows others")


def opaque(saleor_id: str) -> str:
    """Saleor's id in characters that an id of the schema may have."""
    return saleor_id.rstrip("=")


def customer_id(email: str, key: bytes) -> str:
    """The same for the same address; without the key, nobody finds the address."""
    mac = hmac.digest(key, email.casefold().encode(), hashlib.sha256)
    return f"cus_{mac.hex()[:40]}"


class Adapter(BaseHTTPRequestHandler):
    timeout = 10
    keys: jwt.PyJWKClient
    client: Client
    source = ""
    customer_key = b""

    def do_POST(self) -> None:
        try:
            body = self.body()
            verify(self.keys, self.headers.get("Saleor-Signature", ""), body)
            done = self.publish(json.loads(body))
        except Refused as refused:
            status, why = refused.args
            logger.warning("%s: %s", status, why)
            # In the body, which Saleor shows beside the delivery.
            return self.send_error(status, explain=why)
        print(done, flush=True)
        self.send_response(204)
        return self.end_headers()

    def body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise Refused(411, "no Content-Length")
        if int(length) > MAX_BODY_BYTES:
            raise Refused(413, "the body is too large")
        return self.rfile.read(int(length))

    def publish(self, event: dict[str, Any]) -> str:
        """What was done. Raises `Refused`."""
        if event.get("__typename") != "OrderFullyPaid":
            raise Refused(422, "the webhook has not the query of this adapter")
        try:
            data = purchase(event["order"], self.customer_key)
            at = datetime.fromisoformat(data["order"]["placed_at"])
        except (LookupError, TypeError, ValueError) as fault:
            raise Refused(422, f"the order lacks something: {fault!r}") from None
        try:
            published = self.client.publish(
                "purchase.completed",
                data,
                source=self.source,
                id=data["order"]["id"],
                subject=data["order"]["id"],
                partitionkey=data["customer"]["id"],
                time=at,
            )
        except (Invalid, Conflict) as refused:
            # The pointers alone: what is wrong there may be a customer's.
            pointers = " ".join(sorted({pointer for pointer, _ in refused.problems}))
            raise Refused(422, f"{type(refused).__name__} {pointers}") from None
        except ClientError as error:
            # The router is down, or takes not this key: Saleor tries again.
            raise Refused(503, type(error).__name__) from None
        known = "" if published.is_new else " known already"
        return f"{published.id} is number {published.number}{known}"

    def log_message(self, *_: object) -> None:
        """One line for each webhook is enough."""


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    try:
        Adapter.source = os.environ["SALEOR_URL"].rstrip("/")
        Adapter.customer_key = os.environ["CUSTOMER_KEY"].encode()
        Adapter.client = Client(
            os.environ["ROUTER_URL"],
            os.environ["ROUTER_KEY"],
            timeout_seconds=ROUTER_SECONDS,
            patience_seconds=0,
        )
    except KeyError as missing:
        sys.exit(f"Set {missing.args[0]}; the head of this file says how.")
    Adapter.keys = jwt.PyJWKClient(
        f"{Adapter.source}/.well-known/jwks.json", timeout=KEYS_SECONDS
    )
    host = os.environ.get("HOST", "127.0.0.1")
    address = (host, int(os.environ.get("PORT", "9400")))
    with ThreadingHTTPServer(address, Adapter) as server:
        # What is under way is finished.
        server.daemon_threads = False
        signal.signal(signal.SIGTERM, lambda *_: stop(server))
        print(f"Listening on http://{host}:{server.server_port}", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    print("Stopped", flush=True)


def stop(server: ThreadingHTTPServer) -> None:
    # In a thread: shutdown() waits for the loop, which the signal interrupts.
    threading.Thread(target=server.shutdown).start()


if __name__ == "__main__":
    main()
