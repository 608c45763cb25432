"""A puller for a process of its own: pulls until nothing comes, and acknowledges."""

from __future__ import annotations

import json
import sys

from router.flow.pull import settling
from tests.contract.steps import say, take_leases


def main(subscriber_id: int) -> None:
    """Say `ready`, begin at the first line, and print what was given and acknowledged.

    Both are ids of deliveries, in an object of JSON.
    """
    print("ready", flush=True)
    sys.stdin.readline()
    given: list[int] = []
    acknowledged: list[int] = []
    while held := take_leases(subscriber_id, most=7):
        given += [lease.delivery_id for lease in held]
        answers = zip(held, say(settling.ack, held), strict=True)
        acknowledged += [lease.delivery_id for lease, is_done in answers if is_done]
    print(json.dumps({"given": given, "acknowledged": acknowledged}), flush=True)
