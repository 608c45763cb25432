"""Scenarios that make the router's log long."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection
from io import StringIO
from statistics import median
from typing import Any

from django.core.management import call_command
from django.db import connection

from benchmarks.adapters.fanfare import IN_FLIGHT
from benchmarks.project.handler import COUNT, TYPE
from router.testing import (
    add_history,
    count_log,
    create_subscriber,
    delete_subscriber,
    register_declared,
)

RECEIVER = os.environ.get("BENCH_RECEIVER", "")
#: The most that one call may ask for.
MAX_PULLED = 1000
#: What the handlers expect.
DATA = {"number": 0, "at_ns": 0}


def lengthen(options: argparse.Namespace) -> dict[str, Any]:
    """`--count` events that every subscriber has acknowledged."""
    register_declared()
    add_history(options.count, TYPE, DATA)
    _tidy()
    return {}


def outlive(options: argparse.Namespace) -> dict[str, Any]:
    """`--count` events, each for one of `--first` subscribers that were deleted."""
    for number in range(options.first):
        type_ = f"history.{number}"
        created = create_subscriber(
            f"deleted-{number}", by="bench", transport="pull", events=[type_]
        )
        add_history(options.count // options.first, type_, DATA)
        delete_subscriber(created.subscriber, by="bench")
    # As a dispatcher did while these events came: it is no work of an idle one.
    count_log()
    _tidy()
    return {}


def subscribe(options: argparse.Namespace) -> dict[str, Any]:
    """A subscriber that comes late, and begins with all of history: a webhook where
    there is a receiver, else one that pulls, or the last handler with `--is-silent`."""
    if options.is_silent:
        register_declared()
        name = f"subscriber_{COUNT - 1}"
    else:
        name = "late"
        wanted: dict[str, Any] = {"transport": "pull"}
        if RECEIVER:
            wanted = {"transport": "webhook", "url": RECEIVER}
            wanted["in_flight_limit"] = IN_FLIGHT
        create_subscriber(name, by="bench", events=[TYPE], **wanted)
    began_at = time.time()
    call_command("backfill", name, "--no-wait", stdout=sys.stderr)
    return {"began_at": began_at}


def pull(options: argparse.Namespace) -> dict[str, Any]:
    """Pull and acknowledge `--count` events over HTTP; `--first` is the port."""
    key = StringIO()
    call_command("create_api_key", "bench", "--scopes=consume", stdout=key)
    connection_ = HTTPConnection("127.0.0.1", options.first)
    call = partial(_called, connection_, key.getvalue().strip())
    began_at, left = time.time(), options.count
    while left > 0:
        body = {"max": MAX_PULLED, "wait_seconds": 5, "lease_seconds": 60}
        pulled = call("/api/subscribers/late/pull/", body)["deliveries"]
        names = ("id", "lease_token")
        held = [{name: each[name] for name in names} for each in pulled]
        if held:
            call("/api/deliveries/ack/", {"deliveries": held})
        left -= len(held)
    return {"began_at": began_at, "ended_at": time.time()}


def status(options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds of what an operator sees first: the median of `--count` looks."""
    times = []
    for _ in range(options.count):
        began_at = time.perf_counter()
        call_command("status", no_color=True, stdout=StringIO())
        times.append((time.perf_counter() - began_at) * 1000)
    return {"status_ms": median(times)}


def _called(http: HTTPConnection, key: str, path: str, body: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    http.request("POST", path, json.dumps(body), headers)
    response = http.getresponse()
    text = response.read()
    if response.status != HTTPStatus.OK:
        raise SystemExit(f"{path}: {response.status} {text[:300]!r}")
    return json.loads(text)


def _tidy() -> None:
    with connection.cursor() as cursor:
        # Ten million rows take their time.
        cursor.execute("SET statement_timeout TO 0")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


SCENARIOS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "lengthen": lengthen,
    "outlive": outlive,
    "subscribe": subscribe,
    "pull": pull,
    "status": status,
}
