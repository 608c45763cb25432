"""What a running stack's database says."""

from __future__ import annotations

import json

from tests.servers.stack import Stack

#: It looks again itself: to start a process takes longer than most deliveries.
DELIVERIES = """
import json, time
from router.models import Delivery, EventRecord
from router.observe.outcome import outcomes_of
rows = EventRecord.objects.filter(type={type!r}, subject={subject!r})
wanted, deadline = {wanted!r}, time.monotonic() + {seconds}
while True:
    events = list(rows)
    found = outcomes_of(events, Delivery.objects.filter(event__in=events))
    of_each = [*found.deliveries, *found.by_cursor]
    states = {{each.subscriber.name: each.state for each in of_each}}
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
    """Subscriber → what became of the event for it, once those wanted are there."""
    code = DELIVERIES.format(type=type, subject=subject, wanted=wanted, seconds=seconds)
    output = stack.manage("shell", "-v0", "-c", code)
    states: dict[str, str] = json.loads(output.splitlines()[-1])
    return states
