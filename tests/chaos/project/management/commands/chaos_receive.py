from __future__ import annotations

import json
import random
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from tests.chaos.names import HOOK, MIXED
from tests.chaos.poison import answer_to
from tests.chaos.project.effects import append

#: Each of these so often.
TROUBLE_SHARE = 1 / 60
#: Past the deadline of a webhook.
TOO_LONG_SECONDS = 2.5


class Receiver(BaseHTTPRequestHandler):
    """Does its work, and sometimes fails to say so; at `/mixed`, refuses poison."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == f"/{MIXED}":
            self._take_unless_poison(event["id"])
            return
        trouble = random.random() / TROUBLE_SHARE
        if trouble < 1:
            self._answer(503)
            return
        append(event["id"], HOOK, webhook_id=self.headers["webhook-id"])
        if trouble < 2:
            self.close_connection = True
            return
        if trouble < 3:
            time.sleep(TOO_LONG_SECONDS)
        self._answer(204)

    def _take_unless_poison(self, order: str) -> None:
        status = answer_to(order)
        if status == HTTPStatus.NO_CONTENT:
            append(order, MIXED, webhook_id=self.headers["webhook-id"])
        self._answer(status)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Every request is in the log of effects."""


class Command(BaseCommand):
    help = "Receive webhooks: a server of somebody else."

    def handle(self, *args: Any, **options: Any) -> None:
        address = ("127.0.0.1", settings.CHAOS_RECEIVER_PORT)
        ThreadingHTTPServer.daemon_threads = True
        ThreadingHTTPServer(address, Receiver).serve_forever()
