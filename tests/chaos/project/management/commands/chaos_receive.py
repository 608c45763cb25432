from __future__ import annotations

import json
import random
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tests.chaos.project.effects import append
from tests.chaos.subscribers import HOOK, MIXED, response_to

#: How often the receiver refuses, breaks the connection, and is too late.
FAILURE_SHARE = 1 / 60
#: Past the deadline of a webhook.
TOO_LONG_SECONDS = 2.5


class Receiver(BaseHTTPRequestHandler):
    """Does its work, and sometimes fails to answer; at `/mixed`, refuses poison."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == f"/{MIXED}":
            self._take_unless_poison(event["id"])
            return
        draw = random.random() / FAILURE_SHARE
        if draw < 1:
            self._respond(503)
            return
        append(event["id"], HOOK, webhook_id=self.headers["webhook-id"])
        if draw < 2:
            self.close_connection = True
            return
        if draw < 3:
            time.sleep(TOO_LONG_SECONDS)
        self._respond(204)

    def _take_unless_poison(self, order: str) -> None:
        status = response_to(order)
        if status == HTTPStatus.NO_CONTENT:
            append(order, MIXED, webhook_id=self.headers["webhook-id"])
        self._respond(status)

    def _respond(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Every request is in the log of effects."""


class Command(BaseCommand):
    help = "Receive webhooks, as a server outside the shop does."

    def handle(self, *args: Any, **options: Any) -> None:
        address = ("127.0.0.1", settings.CHAOS_RECEIVER_PORT)
        ThreadingHTTPServer.daemon_threads = True
        ThreadingHTTPServer(address, Receiver).serve_forever()
