"""Publishes events to SQS and SNS, in requests of up to ten entries."""

from __future__ import annotations

import json
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar

from router.contract import json_text
from router.contract.binding import STRUCTURED_TYPE
from router.contract.event import Event
from router.contract.outcomes import Dead, Outcome
from router.contract.signing import webhook_id
from router.transports.aws.access import Access
from router.transports.aws.client import open_client
from router.transports.aws.failures import (
    CALL_ERRORS,
    is_of_content,
    outcome_of,
    outcomes_of,
)
from router.transports.publisher import Unsent

MAX_ENTRIES = 10
#: Of a message with its attributes.
MAX_MESSAGE_BYTES = 1024 * 1024
#: What a group may be called.
GROUP = re.compile(r"[!-~]{1,128}")
#: Attributes of the event that filters of subscriptions may look at. More than ten, and
#: SNS silently discards the message where it is delivered raw to SQS.
ROUTED_BY = ("id", "type", "source", "subject")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A message: the fields of its entry in a request, and its size as AWS counts."""

    fields: Mapping[str, Any]
    size: int
    group: str = ""


class AwsPublisher(ABC):
    """A client of one queue or topic."""

    SERVICE: ClassVar[str]
    #: What the entry calls the message's text.
    BODY: ClassVar[str]
    MAX_REQUEST_BYTES: ClassVar[int]

    def __init__(self, access: Access, *, address: str, region: str) -> None:
        self._access = access
        self._address = address
        self._region = region
        self._is_fifo = address.endswith(".fifo")
        self._clients: dict[float, Any] = {}
        self._opening = threading.Lock()

    def message(self, event: Event) -> Entry:
        # ASCII alone: SQS refuses some characters.
        body = json.dumps(
            json_text.repaired(event.to_cloudevent()), separators=(",", ":")
        )
        attributes = _attributes(event)
        size = len(body) + sum(
            len(f"{name}String{value}".encode()) for name, value in attributes.items()
        )
        if size > MAX_MESSAGE_BYTES:
            raise ValueError(
                f"the message would have {size:,} bytes, and AWS takes "
                f"{MAX_MESSAGE_BYTES:,}: publish a link to the data instead."
            )
        group = _group(event) if self._is_fifo else ""
        fields = {self.BODY: body, "MessageAttributes": _typed(attributes)}
        if self._is_fifo:
            fields["MessageGroupId"] = group
            fields["MessageDeduplicationId"] = webhook_id(event.source, event.id)
        return Entry(fields=fields, size=size, group=group)

    def take(self, messages: Sequence[Entry]) -> int:
        """No group twice: the entries of a request may fail singly."""
        groups: set[str] = set()
        size = 0
        for place, each in enumerate(messages[:MAX_ENTRIES]):
            size += each.size
            if place and (size > self.MAX_REQUEST_BYTES or each.group in groups):
                return place
            groups |= {each.group} - {""}
        return min(len(messages), MAX_ENTRIES)

    def publish(
        self, messages: Sequence[Entry], *, deadline_seconds: float
    ) -> Sequence[Outcome]:
        entries = [
            {"Id": str(place), **each.fields} for place, each in enumerate(messages)
        ]
        try:
            response = self._send(self._client(deadline_seconds), entries)
        except CALL_ERRORS as error:
            if is_of_content(error) and len(messages) > 1:
                return self._halves(messages, deadline_seconds)
            outcome = outcome_of(error, deadline_seconds)
            if isinstance(outcome, Dead):
                return [outcome]
            raise Unsent(outcome) from error
        return outcomes_of(response, len(messages))

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    @abstractmethod
    def _send(self, client: Any, entries: Sequence[Mapping[str, Any]]) -> Any:
        """The service's answer to a request with these."""

    def _halves(
        self, messages: Sequence[Entry], deadline_seconds: float
    ) -> list[Outcome]:
        """One of them is not to be taken, or together they are too long: a queue or
        topic may have a limit of its own, which only its owner may read."""
        middle = len(messages) // 2
        return [
            outcome
            for half in (messages[:middle], messages[middle:])
            for outcome in self.publish(half, deadline_seconds=deadline_seconds)
        ]

    def _client(self, deadline_seconds: float) -> Any:
        """Opened when first needed: boto3 reads its files for that."""
        with self._opening:
            if deadline_seconds not in self._clients:
                self._clients[deadline_seconds] = open_client(
                    self.SERVICE,
                    self._access,
                    region=self._region,
                    deadline_seconds=deadline_seconds,
                )
            return self._clients[deadline_seconds]


def _attributes(event: Event) -> dict[str, str]:
    named = {f"ce-{name}": getattr(event, name) for name in ROUTED_BY}
    attributes = {
        **named,
        "content-type": STRUCTURED_TYPE,
        "traceparent": event.traceparent,
    }
    return {name: value for name, value in attributes.items() if value}


def _typed(attributes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {
        name: {"DataType": "String", "StringValue": value}
        for name, value in attributes.items()
    }


def _group(event: Event) -> str:
    """What stays in order together: a key, and without one the event alone."""
    key = event.partitionkey
    if not key:
        return webhook_id(event.source, event.id)
    return key if GROUP.fullmatch(key) else sha256(key.encode()).hexdigest()
