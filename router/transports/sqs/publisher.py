"""Publishes events to a queue of Amazon SQS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from router.transports.aws.access import region_of
from router.transports.aws.publisher import MAX_MESSAGE_BYTES, AwsPublisher
from router.transports.sqs.target import SqsTarget


class Publisher(AwsPublisher):
    SERVICE: ClassVar = "sqs"
    BODY: ClassVar = "MessageBody"
    MAX_REQUEST_BYTES: ClassVar = MAX_MESSAGE_BYTES

    def __init__(self, target: SqsTarget) -> None:
        url = target.queue_url
        super().__init__(target, address=url, region=region_of(url))

    def _send(self, client: Any, entries: Sequence[Mapping[str, Any]]) -> Any:
        return client.send_message_batch(QueueUrl=self._address, Entries=entries)
