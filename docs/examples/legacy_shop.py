"""A shop that puts its orders on RabbitMQ as JSON of its own, and knows no CloudEvents.

    AMQP_URL=amqp://guest:guest@127.0.0.1// python3 legacy_shop.py 1001 1002

Each argument is the number of an order. It needs `pip install kombu`, and nothing of
Fanfare.

Environment:
    AMQP_URL   the server (default: amqp://guest:guest@127.0.0.1//)
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from kombu import Connection, Exchange, Queue

PURCHASE = Path(__file__).with_name("purchase.completed.json")
ORDERS = Exchange("orders", "topic", durable=True)
#: An operator declares it once, for the bridge.
FANFARE = Queue(
    "fanfare",
    ORDERS,
    routing_key="purchase.*",
    queue_arguments={"x-queue-type": "quorum"},
)


def order(number: str) -> dict[str, Any]:
    """An order in the words of this store's schema of purchases."""
    data: dict[str, Any] = json.loads(PURCHASE.read_text())["data"]
    data["order"] |= {"id": f"legacy-{number}", "number": number}
    return data


def main(numbers: list[str]) -> None:
    url = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1//")
    # Without confirms the shop would not learn of an order that RabbitMQ lost.
    options = {"confirm_publish": True}
    with Connection(url, transport_options=options) as connection:
        FANFARE(connection).declare()
        producer = connection.Producer()
        for number in numbers:
            producer.publish(
                order(number),
                exchange=ORDERS,
                routing_key="purchase.completed",
                serializer="json",
                # The bridge knows by it what comes twice.
                message_id=f"order-{number}",
                delivery_mode="persistent",
            )
            print(number, "published", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
