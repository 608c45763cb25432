"""Takes messages from a queue of Amazon SQS; each is deleted when it is recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError

from router.transports.aws.access import region_of
from router.transports.aws.client import open_client
from router.transports.aws.failures import CALL_ERRORS
from router.transports.consumer import CALL_SECONDS, Incoming
from router.transports.sqs.binding import from_sqs
from router.transports.sqs.target import SqsFeed

#: Of messages in a request.
MAX_ENTRIES = 10
#: A request waits as long for messages as SQS lets it: each is paid for.
POLL_SECONDS = 20
#: It is cut off when it lasts longer than three quarters of this.
POLL_DEADLINE_SECONDS = 32.0
#: Between two counts of what waits, while nothing does.
COUNT_SECONDS = 20.0
#: How many wait: those that nobody took, and those that are taken and not deleted.
COUNTS = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


class Consumer:
    """A client of one queue."""

    def __init__(self, feed: SqsFeed) -> None:
        self._url = feed.queue_url
        self._client, self._poller = (
            open_client(
                "sqs", feed, region=region_of(self._url), deadline_seconds=seconds
            )
            for seconds in (CALL_SECONDS, POLL_DEADLINE_SECONDS)
        )
        #: Taken and not deleted yet.
        self._handles: set[str] = set()
        #: The request that waits for messages.
        self._poll: Future[list[Incoming]] | None = None
        self._is_answered = False
        self._waiting: int | None = None
        self._counted_at = -COUNT_SECONDS

    def receive(self, *, limit: int, wait_seconds: float) -> Sequence[Incoming]:
        """Ten a request: it asks again while each is full.

        A long poll goes on in a thread between two calls, so that a bridge that is
        stopped need not wait for its end. The first call answers at once: it shows
        whether the queue is there.
        """
        if not self._is_answered:
            taken = self._receive(self._client, limit)
            self._is_answered = True
        else:
            taken = self._polled(limit, wait_seconds)
        incoming = list(taken)
        while taken and len(taken) % MAX_ENTRIES == 0 and len(incoming) < limit:
            taken = self._receive(self._client, limit - len(incoming))
            incoming += taken
        if incoming:
            self._counted_at = -COUNT_SECONDS
        return incoming

    def acknowledge(self, incoming: Sequence[Incoming]) -> None:
        """What can't be deleted comes again, and is known then."""
        for entries in _requests([each.handle for each in incoming]):
            self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
        self._handles -= {each.handle for each in incoming}

    def waiting(self) -> int | None:
        """None without the right to `sqs:GetQueueAttributes`."""
        if self._waiting or time.monotonic() - self._counted_at >= COUNT_SECONDS:
            self._waiting = self._count()
            self._counted_at = time.monotonic()
        return self._waiting

    def close(self) -> None:
        """Let others have at once what was not recorded.

        A request that waits ends later, in its own thread, and gives back then.
        """
        if self._poll is None:
            self._end()
        else:
            self._give_back()
            self._poll.add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        self._give_back()
        self._client.close()
        self._poller.close()

    def _give_back(self) -> None:
        with suppress(*CALL_ERRORS):
            for entries in _requests(sorted(self._handles)):
                self._client.change_message_visibility_batch(
                    QueueUrl=self._url,
                    Entries=[{**each, "VisibilityTimeout": 0} for each in entries],
                )
        self._handles.clear()

    def _count(self) -> int | None:
        try:
            response = self._client.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=COUNTS
            )
        except ClientError:
            return None
        return sum(int(response["Attributes"][name]) for name in COUNTS)

    def _polled(self, limit: int, wait_seconds: float) -> list[Incoming]:
        """What the request that waits has brought; nothing while it waits."""
        poll = self._poll or self._begin_poll(limit)
        done, _ = wait([poll], wait_seconds)
        if not done:
            return []
        self._poll = None
        return poll.result()

    def _begin_poll(self, limit: int) -> Future[list[Incoming]]:
        poll: Future[list[Incoming]] = Future()

        def ask() -> None:
            try:
                poll.set_result(self._receive(self._poller, limit, POLL_SECONDS))
            except Exception as error:  # noqa: BLE001 - it is raised where it is read
                poll.set_exception(error)

        self._poll = poll
        # A daemon: the end of the process does not wait for it.
        threading.Thread(target=ask, daemon=True).start()
        return poll

    def _receive(
        self, client: Any, limit: int, wait_seconds: int = 0
    ) -> list[Incoming]:
        response = client.receive_message(
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
