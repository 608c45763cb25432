"""Takes messages from a queue of Amazon SQS; each is deleted when it is recorded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from router.transports.aws.access import region_of
from router.transports.aws.client import open_client
from router.transports.aws.failures import CALL_ERRORS
from router.transports.consumer import Incoming
from router.transports.sqs.binding import from_sqs
from router.transports.sqs.target import SqsFeed

#: Of messages in a request.
MAX_ENTRIES = 10
CALL_SECONDS = 20.0
#: How many wait: those that nobody took, and those that are taken and not deleted.
COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


class Consumer:
    """A client of one queue."""

    def __init__(self, feed: SqsFeed) -> None:
        self._url = feed.queue_url
        self._client = open_client(
            "sqs", feed, region=region_of(self._url), deadline_seconds=CALL_SECONDS
        )
        #: Taken and not deleted yet.
        self._handles: set[str] = set()

    def receive(self, *, limit: int, wait_seconds: float) -> Sequence[Incoming]:
        """Ten a request: it asks again while each is full."""
        taken = self._receive(limit, math.ceil(wait_seconds))
        incoming = list(taken)
        while taken and len(taken) % MAX_ENTRIES == 0 and len(incoming) < limit:
            taken = self._receive(limit - len(incoming), 0)
            incoming += taken
        return incoming

    def acknowledge(self, incoming: Sequence[Incoming]) -> None:
        """What can't be deleted comes again, and is known then."""
        for entries in _requests([each.handle for each in incoming]):
            self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
        self._handles -= {each.handle for each in incoming}

    def waiting(self) -> int | None:
        """None without the right to `sqs:GetQueueAttributes`."""
        try:
            response = self._client.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=COUNTS
            )
        except ClientError:
            return None
        return sum(int(response["Attributes"][name]) for name in COUNTS)

    def close(self) -> None:
        """Let others have at once what was not recorded."""
        with suppress(*CALL_ERRORS):
            for entries in _requests(sorted(self._handles)):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[{**each, "VisibilityTimeout": 0} for each in entries],
                )
        self._client.close()

    def _receive(self, limit: int, wait_seconds: int) -> list[Incoming]:
        response = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=min(limit, MAX_ENTRIES),
            WaitTimeSeconds=wait_seconds,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["MessageGroupId", "MessageDeduplicationId"],
        )
        messages: list[Mapping[str, Any]] = response.get("Messages", [])
        self._handles |= {each["ReceiptHandle"] for each in messages}
        queue = self._url.rpartition("/")[2]
        return [from_sqs(each, queue=queue) for each in messages]


def _requests(handles: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
    """The entries of each request for these."""
    for start in range(0, len(handles), MAX_ENTRIES):
        part = handles[start : start + MAX_ENTRIES]
        yield [
            {"Id": str(place), "ReceiptHandle": handle}
            for place, handle in enumerate(part)
        ]
