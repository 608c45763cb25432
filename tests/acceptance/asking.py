"""What a running stack's database says."""

from __future__ import annotations

import json

from tests.servers.stack import Stack

#: It looks again itself: to start a process takes longer than most deliveries.
DELIVERIES = """
import json, time
from router.models import Delivery
rows = Delivery.objects.filter(event__type={type!r}, event__subject={subject!r})
wanted, deadline = {wanted!r}, time.monotonic() + {seconds}
while True:
    states = dict(rows.values_list("subscriber__name", "state"))
    if wanted.items() <= states.items() or time.monotonic() > deadline:
        break
    time.sleep(0.1)
print(json.dumps(states))
"""


def deliveries(
    stack: Stack,
    *,
    subject: str,
    wanted: dict[str, str],
    type: str = "purchase.completed",
    seconds: float = 60,
) -> dict[str, str]:
    """Subscriber → state of its delivery of the event, once those wanted are there."""
    code = DELIVERIES.format(type=type, subject=subject, wanted=wanted, seconds=seconds)
    output = stack.manage("shell", "-v0", "-c", code)
    states: dict[str, str] = json.loads(output.splitlines()[-1])
    return states
