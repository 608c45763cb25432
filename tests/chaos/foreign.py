"""The RabbitMQ of others in a cell: what arrived there, and what waits there."""

from __future__ import annotations

import json
from typing import Any

from tests.chaos.subscribers import BUS
from tests.servers.foreign import Received
from tests.servers.foreign_amqp import ForeignRabbitMQ
from tests.servers.rabbitmq import RabbitMQ

BRIDGE = "legacy"


class Foreign:
    """Where the subscriber `BUS` is published to, and what a bridge takes from."""

    def __init__(self, node: RabbitMQ) -> None:
        self.router = ForeignRabbitMQ(node)
        self.target = self.router.make()
        self._source, feed = self.router.make_pair()
        self.bridges = {BRIDGE: feed}

    def collected(self) -> dict[str, Any]:
        """Ids of events that arrived, as often as they did, and of those not taken."""
        return {
            BUS: list(map(_id, self.router.read_all(self.target))),
            "not_taken": list(map(_id, self.router.read_all(self._source))),
        }


def _id(message: Received) -> str:
    """Binary, as the router writes it, or structured, as the other shop does."""
    return str(message.attributes.get("id") or json.loads(message.body)["id"])
