"""What a running stack's database says."""

from __future__ import annotations

import json
from typing import Any

from tests.servers.stack import Stack

DELIVERIES = """
import json
from router.models import Delivery
rows = Delivery.objects.filter(event__type={type!r}, event__subject={subject!r})
print(json.dumps(dict(rows.values_list("subscriber__name", "state"))))
"""


def deliveries(stack: Stack, *, subject: str, type: str = "purchase.completed") -> Any:
    """Subscriber → state of its delivery of the event."""
    code = DELIVERIES.format(type=type, subject=subject)
    return json.loads(stack.manage("shell", "-v0", "-c", code).splitlines()[-1])
