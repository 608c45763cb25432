"""A service that receives webhooks, with the standard library alone.

    WEBHOOK_SECRETS=whsec_… python3 webhook_receiver.py

Environment:
    WEBHOOK_SECRETS   the signing secret of the subscriber; several, space separated,
                      while one takes the place of another
    DATABASE          file of what was received (default: webhook_receiver.sqlite3)
    HOST, PORT        where it listens (default: 127.0.0.1, 9100)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOLERANCE_SECONDS = 5 * 60
MAX_BODY_BYTES = 2 * 1024 * 1024
TABLES = """
    CREATE TABLE IF NOT EXISTS seen (
        source TEXT, id TEXT, PRIMARY KEY (source, id)
    );
    CREATE TABLE IF NOT EXISTS received (type TEXT, subject TEXT);
"""


class Refused(Exception):
    """A request that is answered before any work: the status, and why."""


def verify(secrets: list[str], headers: Mapping[str, str], body: bytes) -> None:
    """Raises `Refused` unless these headers prove this body."""
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not webhook_id or not timestamp.isascii() or not timestamp.isdigit():
        raise Refused(401, "webhook-id or webhook-timestamp is missing")
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        raise Refused(401, "webhook-timestamp is too far from now")
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    # Bytes: compare_digest raises for text that is not ASCII.
    expected = [b"v1," + signature(secret, signed) for secret in secrets]
    for given in headers.get("webhook-signature", "").encode().split(b" "):
        if any(hmac.compare_digest(given, one) for one in expected):
            return
    raise Refused(401, "no webhook-signature fits")


def signature(secret: str, signed: bytes) -> bytes:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def read_event(body: bytes) -> dict[str, object]:
    """The CloudEvent in that body. Raises `Refused`."""
    try:
        event = json.loads(body)
        if all(isinstance(event[name], str) for name in ("source", "id", "type")):
            return dict(event)
    except (ValueError, TypeError, KeyError):
        """Refused as what has members that are no text."""
    raise Refused(400, "the body is no CloudEvent in JSON")


def receive(database: str, event: dict[str, object]) -> bool:
    """Do the work once; returns whether this was the first time.

    The event is remembered in the transaction of the work: both happen, or neither.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        known = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
        pair = [event["source"], event["id"]]
        is_first = connection.execute(known, pair).rowcount == 1
        if is_first:
            work(connection, event)
    return is_first


def work(connection: sqlite3.Connection, event: dict[str, object]) -> None:
    """Here goes what this service is for."""
    row = [event["type"], event.get("subject", "")]
    connection.execute("INSERT INTO received VALUES (?, ?)", row)


class Receiver(BaseHTTPRequestHandler):
    timeout = 10
    secrets: list[str] = []
    database = ""

    def do_POST(self) -> None:
        """The status is all that the router looks at: unless 2xx, it sends again."""
        try:
            body = self.body()
            verify(self.secrets, self.headers, body)
            event = read_event(body)
            is_first = receive(self.database, event)
        except Refused as refused:
            return self.send_error(*refused.args)
        except Exception:
            logging.exception("The work failed")
            return self.send_error(500)
        print(event["id"], "done" if is_first else "known already", flush=True)
        self.send_response(204)
        return self.end_headers()

    def body(self) -> bytes:
        """The raw bytes: written anew, the same JSON has another signature."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit():
            raise Refused(411, "no Content-Length")
        if int(length) > MAX_BODY_BYTES:
            raise Refused(413, "the body is too large")
        return self.rfile.read(int(length))

    def log_message(self, *_: object) -> None:
        """One line for each webhook is enough."""


def main() -> None:
    Receiver.secrets = os.environ.get("WEBHOOK_SECRETS", "").split()
    if not Receiver.secrets:
        sys.exit("Set WEBHOOK_SECRETS to the secret of the subscriber: whsec_…")
    Receiver.database = os.environ.get("DATABASE", "webhook_receiver.sqlite3")
    with closing(sqlite3.connect(Receiver.database)) as connection:
        connection.executescript(TABLES)
    host = os.environ.get("HOST", "127.0.0.1")
    address = (host, int(os.environ.get("PORT", "9100")))
    with ThreadingHTTPServer(address, Receiver) as server:
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
