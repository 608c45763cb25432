"""SQS and SNS as foreign routers, read by boto3 as it is."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import boto3

from tests.servers.fauxqs import DENIED, Fauxqs
from tests.servers.foreign import Received

REGION = "eu-west-1"
FIFO = {"FifoQueue": "true"}
KEYS = {"access_key_id": "AKIATEST", "secret_access_key": "not-a-real-secret"}
PREFIX = "ce-"


class ForeignSqs:
    kind = "sqs"
    modes: tuple[str, ...] = ("structured",)
    BODY = "MessageBody"

    def __init__(self, server: Fauxqs) -> None:
        self._server = server
        self.sqs = _client("sqs", server)

    def make(self) -> dict[str, Any]:
        return self._target(self.make_queue(**FIFO))

    def make_queue(self, **attributes: str) -> str:
        """Its URL."""
        end = ".fifo" if "FifoQueue" in attributes else ""
        name = f"test-{uuid.uuid4().hex[:12]}{end}"
        url: str = self.sqs.create_queue(QueueName=name, Attributes=attributes)[
            "QueueUrl"
        ]
        return url

    def missing(self) -> dict[str, Any]:
        url = self.make_queue()
        return self._target(f"{url}-and-no-more")

    def denied(self) -> dict[str, Any] | None:
        return {
            **self.make(),
            "endpoint_url": self._server.proxy.url,
            "access_key_id": DENIED,
            "secret_access_key": "wrong-password",
        }

    def refusing(self) -> tuple[dict[str, Any], dict[str, Any]]:
        target = self._target(self.make_queue(MaximumMessageSize="1024", **FIFO))
        return target, {"extensions": {"note": "n" * 1000}}

    def through_proxy(self, target: Mapping[str, Any]) -> dict[str, Any]:
        return {**target, "endpoint_url": self._server.proxy.url}

    def read_all(self, target: Mapping[str, Any]) -> Sequence[Received]:
        return [_received(each) for each in self.take_all(target["queue_url"])]

    def take_all(self, url: str) -> list[dict[str, Any]]:
        """The messages as SQS has them, deleted."""
        taken: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages"):
            taken += messages
            entries = [
                {"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]}
                for n, each in enumerate(messages)
            ]
            self.sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        return taken

    def make_feed(self) -> dict[str, Any]:
        return self.make_pair()[1]

    def make_pair(self) -> tuple[dict[str, Any], dict[str, Any]]:
        target = self.make()
        return target, self._feed(target["queue_url"])

    def send(self, feed: Mapping[str, Any], messages: Sequence[Received]) -> None:
        """Each in a group of its own: fauxqs gives one of a group at a time."""
        for start in range(0, len(messages), 10):
            self._send(
                feed["queue_url"],
                [
                    {
                        "Id": str(place),
                        self.BODY: message.body.decode(),
                        "MessageAttributes": _attributes(message),
                        "MessageGroupId": uuid.uuid4().hex,
                        "MessageDeduplicationId": uuid.uuid4().hex,
                    }
                    for place, message in enumerate(messages[start : start + 10])
                ],
            )

    def left(self, feed: Mapping[str, Any]) -> int:
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=feed["queue_url"], AttributeNames=["All"]
        )["Attributes"]
        names = ("", "NotVisible")
        return sum(int(attributes[f"ApproximateNumberOfMessages{n}"]) for n in names)

    def _send(self, url: str, entries: list[dict[str, Any]]) -> None:
        response = self.sqs.send_message_batch(QueueUrl=url, Entries=entries)
        assert not response.get("Failed"), response

    def _feed(self, url: str) -> dict[str, Any]:
        return {"from": self.kind, "queue_url": url, **self._access()}

    def kill(self) -> None:
        self._server.server.kill()

    def start(self) -> None:
        self._server.start()

    def freeze(self) -> None:
        self._server.server.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._server.server.send(signal.SIGCONT)

    def _target(self, url: str) -> dict[str, Any]:
        return {"queue_url": url, **self._access()}

    def _access(self) -> dict[str, Any]:
        return {"region": REGION, "endpoint_url": self._server.url, **KEYS}


class ForeignSns(ForeignSqs):
    """Topics, each with a queue that reads it: raw what is published, and in the
    envelope what a bridge takes."""

    kind = "sns"
    BODY = "Message"

    def __init__(self, server: Fauxqs) -> None:
        super().__init__(server)
        self.sns = _client("sns", server)
        self._queues: dict[str, str] = {}

    def make(self) -> dict[str, Any]:
        return self.make_topic(is_raw=True)

    def make_topic(self, *, is_raw: bool) -> dict[str, Any]:
        url = self.make_queue(**FIFO)
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["QueueArn"]
        )["Attributes"]
        arn: str = self.sns.create_topic(
            Name=url.rpartition("/")[2], Attributes={"FifoTopic": "true"}
        )["TopicArn"]
        self.sns.subscribe(
            TopicArn=arn,
            Protocol="sqs",
            Endpoint=attributes["QueueArn"],
            Attributes={"RawMessageDelivery": json.dumps(is_raw)},
        )
        self._queues[arn] = url
        return {"topic_arn": arn, **self._access()}

    def make_pair(self) -> tuple[dict[str, Any], dict[str, Any]]:
        target = self.make_topic(is_raw=False)
        return target, self._feed(self._queues[target["topic_arn"]])

    def _send(self, url: str, entries: list[dict[str, Any]]) -> None:
        [arn] = [arn for arn, queue in self._queues.items() if queue == url]
        response = self.sns.publish_batch(
            TopicArn=arn, PublishBatchRequestEntries=entries
        )
        assert not response.get("Failed"), response

    def missing(self) -> dict[str, Any]:
        arn = f"arn:aws:sns:{REGION}:000000000000:no-such-topic"
        return {"topic_arn": arn, **self._access()}

    def refusing(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.make(), {"extensions": {"note": "n" * 300_000}}

    def read_all(self, target: Mapping[str, Any]) -> Sequence[Received]:
        url = self._queues[target["topic_arn"]]
        return [_received(each) for each in self.take_all(url)]


def _client(service: str, server: Fauxqs) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=KEYS["access_key_id"],
        aws_secret_access_key=KEYS["secret_access_key"],
    )


def _attributes(message: Received) -> dict[str, Any]:
    named = {f"{PREFIX}{name}": text for name, text in message.attributes.items()}
    return {
        name: {"DataType": "String", "StringValue": text}
        for name, text in {**named, "content-type": message.content_type}.items()
        # SQS takes no empty text.
        if text
    }


def _received(message: Mapping[str, Any]) -> Received:
    attributes = {
        name: value["StringValue"]
        for name, value in message["MessageAttributes"].items()
    }
    return Received(
        body=message["Body"].encode(),
        content_type=attributes["content-type"],
        attributes={
            name.removeprefix(PREFIX): value
            for name, value in attributes.items()
            if name.startswith(PREFIX)
        },
    )
