from __future__ import annotations

import json
import signal
from threading import Event as Flag
from typing import Any
from urllib.request import Request, urlopen

from django.conf import settings
from django.core.management.base import BaseCommand

from tests.chaos.project.effects import append, work
from tests.chaos.subscribers import PULLER

MAX_DELIVERIES = 5
LEASE_SECONDS = 3
TIMEOUT_SECONDS = 5
PAUSE_AFTER_ERROR_SECONDS = 0.2


class Command(BaseCommand):
    help = "Pull deliveries over HTTP, do the work and acknowledge, until stopped."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = Flag()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        while not stop.is_set():
            try:
                work_through()
            except Exception as error:  # noqa: BLE001 - the web process is killed as well
                print(f"{type(error).__name__}: {error}", flush=True)
                stop.wait(PAUSE_AFTER_ERROR_SECONDS)


def work_through() -> None:
    """One pull, and each of its deliveries done and acknowledged."""
    wanted = {"max": MAX_DELIVERIES, "wait_seconds": 1, "lease_seconds": LEASE_SECONDS}
    pulled = call(f"subscribers/{PULLER}/pull/", wanted)
    for delivery in pulled["deliveries"]:
        work()
        append(delivery["event"]["id"], PULLER)
        lease = {"id": delivery["id"], "lease_token": delivery["lease_token"]}
        call("deliveries/ack/", {"deliveries": [lease]})


def call(path: str, body: dict[str, Any]) -> dict[str, Any]:
    key = (settings.CHAOS_DIR / "key").read_text()
    request = Request(
        f"http://127.0.0.1:{settings.CHAOS_WEB_PORT}/api/{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urlopen(request, timeout=TIMEOUT_SECONDS) as response:
        content: dict[str, Any] = json.load(response)
    return content
