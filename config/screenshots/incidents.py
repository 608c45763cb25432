"""Some of everything that goes wrong, on a site of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from config.env import BASE_DIR
from config.screenshots.site import Site, wait_until

EXAMPLE = BASE_DIR / "docs" / "examples" / "purchase.completed.json"
FIRST_ORDER, ORDERS = 2001, 24
#: The loyalty service refuses every eighth order.
REFUSED = 8
BATCH = "application/cloudevents-batch+json"


class Receivers(BaseHTTPRequestHandler):
    """Subscribers outside: one is down, one refuses some orders, one is well."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, text = _answer(self.path, json.loads(body)["data"])
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the terminal is for the names of the pictures."""


def _answer(path: str, data: dict[str, Any]) -> tuple[int, str]:
    number = int(data["order"]["number"])
    if path == "/erp":
        return 503, "maintenance until noon"
    if path == "/loyalty" and number % REFUSED == 0:
        return 422, f"unknown member of order {number}"
    return 200, "thank you"


@contextmanager
def incidents(site: Site) -> Iterator[None]:
    """An unreachable receiver, failed tasks of one cause, and a paused subscriber."""
    with _receivers() as address:
        key = site.manage("create_api_key", "screenshots", "--scopes", "publish,manage")
        for name, title in SUBSCRIBERS.items():
            site.call("subscribers/", key, _subscriber(name, title, address))
        reason = {"reason": "The newsletter moves to another provider until Friday."}
        site.call("subscribers/newsletter/pause/", key, reason)
        site.call("events/", key, list(_purchases()), **{"Content-Type": BATCH})
        wait_until(lambda: _is_broken(site, key), "the incidents")
        yield


SUBSCRIBERS = {"erp": "ERP", "loyalty": "Loyalty points", "newsletter": "Newsletter"}


def _subscriber(name: str, title: str, address: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "transport": "webhook",
        "url": f"{address}/{name}",
        "events": ["purchase.completed"],
        "waits_seconds": [1, 1],
        "max_failures": 3,
    }


def _purchases() -> Iterator[dict[str, Any]]:
    example = json.loads(EXAMPLE.read_text())
    for number in range(FIRST_ORDER, FIRST_ORDER + ORDERS):
        event = deepcopy(example)
        event["id"] = f"purchase-{number}"
        event["subject"] = event["data"]["order"]["id"] = f"order-{number}"
        event["data"]["order"]["number"] = str(number)
        yield event


def _is_broken(site: Site, key: str) -> bool:
    refused = len(range(FIRST_ORDER, FIRST_ORDER + ORDERS)) // REFUSED
    tasks = site.call("failed-tasks/", key)["results"]
    groups = site.call("failed-tasks/groups/", key)["results"]
    is_open = site.call("subscribers/erp/", key)["breaker"] == "open"
    return is_open and len(tasks) >= refused and bool(groups)


@contextmanager
def _receivers() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Receivers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
