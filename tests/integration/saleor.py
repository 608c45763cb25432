"""A store of Saleor as far as its webhooks go: keys, signatures, payload."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

KID = "a-thumbprint-of-the-key"
#: The header of a signature by RS256 whose payload is not inside.
DETACHED = {
    "alg": "RS256",
    "b64": False,
    "crit": ["b64"],
    "kid": KID,
    "typ": "JWT",
}
ORDER_ID = "T3JkZXI6YjUwNGM4YzgtZDVlMS00ZWM3LWI4ZmItMmE0ZDIwYjc5YzQ4"


class Saleor(ThreadingHTTPServer):
    """Serves the public key at `/.well-known/jwks.json`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Keys)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.private_key = rsa.generate_private_key(65537, 2048)
        self.is_down = False

    def jwks(self) -> dict[str, Any]:
        numbers = self.private_key.public_key().public_numbers()
        key = {"kty": "RSA", "key_ops": ["verify"], "use": "sig", "alg": "RS256"}
        number = {"n": _number(numbers.n), "e": _number(numbers.e)}
        return {"keys": [{**key, **number, "kid": KID}]}

    def sign(self, body: bytes, **header: Any) -> str:
        """`Saleor-Signature`: RFC 7515, appendix F, with RFC 7797."""
        protected = encoded({**DETACHED, **header})
        return f"{protected}..{self.signature(protected, body)}"

    def access_token(self, claims: dict[str, Any]) -> str:
        """What a customer who signs in is given; by the same key."""
        protected = encoded({"alg": "RS256", "kid": KID, "typ": "JWT"})
        payload = encoded(claims)
        return f"{protected}.{payload}.{self.signature(protected, payload.encode())}"

    def signature(self, protected: str, payload: bytes) -> str:
        signed = protected.encode() + b"." + payload
        return base64url(self.private_key.sign(signed, padding.PKCS1v15(), SHA256()))


class _Keys(BaseHTTPRequestHandler):
    server: Saleor

    def do_GET(self) -> None:
        if self.server.is_down or self.path != "/.well-known/jwks.json":
            return self.send_error(503)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.server.jwks()).encode())
        return None

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


@contextmanager
def saleor() -> Iterator[Saleor]:
    server = Saleor()
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fully_paid(**changes: Any) -> dict[str, Any]:
    """The payload of the event, as the adapter's query asks for it."""
    address = {
        "firstName": "Ada",
        "lastName": "Horn",
        "streetAddress1": "Bandstand Lane 4",
        "streetAddress2": "",
        "postalCode": "10115",
        "city": "BERLIN",
        "country": {"code": "DE"},
    }
    order = {
        "id": ORDER_ID,
        "number": "1001",
        "created": "2026-01-02T03:04:05.123456+00:00",
        "userEmail": "ada@example.com",
        "billingAddress": {**address, "city": "HAMBURG"},
        "shippingAddress": address,
        "lines": [
            {
                "productSku": "CAR-301",
                "productName": "Quickwater valve oil",
                "variantName": "50 ml",
                "quantity": 2,
                "unitPrice": _gross(690),
                "totalPrice": _gross(1380),
            }
        ],
        "subtotal": _gross(1380),
        "shippingPrice": _gross(590),
        "total": {"gross": {"fractionalAmount": 1970, "currency": "EUR"}},
        "transactions": [
            {"paymentMethodDetails": None},
            {"paymentMethodDetails": {"lastDigits": "4242"}},
        ],
    }
    return {"__typename": "OrderFullyPaid", "order": {**order, **changes}}


def encoded(part: dict[str, Any]) -> str:
    return base64url(json.dumps(part, separators=(",", ":")).encode())


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8))


def _gross(minor: int) -> dict[str, Any]:
    return {"gross": {"fractionalAmount": minor}}
