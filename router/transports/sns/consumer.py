"""What is published to a topic arrives by a queue that subscribes it."""

from __future__ import annotations

from router.transports.sqs.consumer import Consumer

__all__ = ["Consumer"]
