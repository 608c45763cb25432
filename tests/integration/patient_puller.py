"""A puller for a process of its own: goes on until nothing is open any more."""

from __future__ import annotations

import sys
import time

from router.flow.pull.leasing import pull
from router.models import Delivery
from tests.contract.steps import ack

#: The one that is to be killed is told so, and keeps what it pulls then.
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
        pulled = pull(subscriber_id, most=7, lease_seconds=60).deliveries
        if not pulled:
            time.sleep(PAUSE_SECONDS)
            continue
        pull_count += 1
        tell("given", [delivery.pk for delivery in pulled])
        if is_to_hold and pull_count == PULLS_BEFORE_HOLDING:
            tell("holding", [delivery.pk for delivery in pulled])
            sys.stdin.readline()
        told = zip(pulled, ack(pulled), strict=True)
        tell("acknowledged", [each.pk for each, is_done in told if is_done])


def tell(what: str, ids: list[int]) -> None:
    print(what, *ids, flush=True)
