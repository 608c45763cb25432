"""A puller for a process of its own: goes on until nothing is open any more."""

from __future__ import annotations

import sys
import time

from router.flow.pull import settling
from router.flow.pull.holding import Lease
from router.models import Delivery
from tests.contract.steps import say, take_leases

#: The puller that is to be killed gets this word, and keeps what it pulls then.
HOLD = "hold"
PULLS_BEFORE_HOLDING = 3
PAUSE_SECONDS = 0.02


def main(subscriber_id: int) -> None:
    """Say `ready`, begin at the first line, and print a line for each pull and ack:
    what it was and the ids of the deliveries."""
    print("ready", flush=True)
    is_to_hold = sys.stdin.readline().strip() == HOLD
    pull_count = 0
    while Delivery.objects.open().exists():
        held = take_leases(subscriber_id, most=7)
        if not held:
            time.sleep(PAUSE_SECONDS)
            continue
        pull_count += 1
        report("given", held)
        if is_to_hold and pull_count == PULLS_BEFORE_HOLDING:
            report("holding", held)
            sys.stdin.readline()
        answers = zip(held, say(settling.ack, held), strict=True)
        report("acknowledged", [lease for lease, is_done in answers if is_done])


def report(what: str, named: list[Lease]) -> None:
    print(what, *(lease.delivery_id for lease in named), flush=True)
