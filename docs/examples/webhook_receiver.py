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
LARGEST_BODY = 2 * 1024 * 1024
TABLES = """
    CREATE TABLE IF NOT EXISTS seen (webhook_id TEXT PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS received (type TEXT, subject TEXT);
"""


class Forged(Exception):
    """These headers do not prove this body."""


def verify(secrets: list[str], headers: Mapping[str, str], body: bytes) -> str:
    """The webhook's id. Raises `Forged`."""
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not webhook_id or not timestamp.isascii() or not timestamp.isdigit():
        raise Forged("webhook-id or webhook-timestamp is missing")
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        raise Forged("webhook-timestamp is too far from now")
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    # Bytes: compare_digest raises for text that is not ASCII.
    expected = [b"v1," + signature(secret, signed) for secret in secrets]
    for given in headers.get("webhook-signature", "").encode().split(b" "):
        if any(hmac.compare_digest(given, one) for one in expected):
            return webhook_id
    raise Forged("no webhook-signature fits")


def signature(secret: str, signed: bytes) -> bytes:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256))


def receive(database: str, webhook_id: str, event: dict[str, object]) -> bool:
    """Do the work once; returns whether this was the first time.

    The id is remembered in the transaction of the work: both happen, or neither.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        known = "INSERT OR IGNORE INTO seen VALUES (?)"
        is_first = connection.execute(known, [webhook_id]).rowcount == 1
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
        # An answer that is not 2xx, or none: the router sends it again later.
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            return self.send_error(411)
        if int(length) > LARGEST_BODY:
            return self.send_error(413)
        body = self.rfile.read(int(length))
        try:
            webhook_id = verify(self.secrets, self.headers, body)
        except Forged as why:
            return self.send_error(401, str(why))
        is_first = receive(self.database, webhook_id, json.loads(body))
        print(webhook_id, "done" if is_first else "known already", flush=True)
        self.send_response(204)
        return self.end_headers()

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
