"""Publishes events to a topic of Amazon SNS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from router.transports.aws.publisher import AwsPublisher
from router.transports.sns.target import SnsTarget

#: Of a topic that nobody gave a larger limit. One event may be longer, where the topic
#: lets it, and goes alone.
MAX_REQUEST_BYTES = 256 * 1024


class Publisher(AwsPublisher):
    SERVICE: ClassVar = "sns"
    BODY: ClassVar = "Message"
    MAX_REQUEST_BYTES: ClassVar = MAX_REQUEST_BYTES

    def __init__(self, target: SnsTarget) -> None:
        arn = target.topic_arn
        super().__init__(target, address=arn, region=arn.split(":")[3])

    def _send(self, client: Any, entries: Sequence[Mapping[str, Any]]) -> Any:
        return client.publish_batch(
            TopicArn=self._address, PublishBatchRequestEntries=entries
        )
