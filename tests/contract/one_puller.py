"""A puller for a process of its own: pulls until nothing comes, and acknowledges."""

from __future__ import annotations

import json
import sys

from router.flow.pull.leasing import pull
from tests.contract.steps import ack


def main(subscriber_id: int) -> None:
    """Say `ready`, begin at the first line, and print what was given and acknowledged.

    Both are ids of deliveries, in an object of JSON.
    """
    print("ready", flush=True)
    sys.stdin.readline()
    given: list[int] = []
    acknowledged: list[int] = []
    while pulled := pull(subscriber_id, most=7, lease_seconds=60).deliveries:
        given += [delivery.pk for delivery in pulled]
        went_through = zip(pulled, ack(pulled), strict=True)
        acknowledged += [each.pk for each, is_done in went_through if is_done]
    print(json.dumps({"given": given, "acknowledged": acknowledged}), flush=True)
