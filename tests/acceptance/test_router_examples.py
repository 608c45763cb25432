"""The examples beside Kafka and SQS serve purchases of the running shop."""

from __future__ import annotations

import importlib.util
import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.acceptance.customer import Customer
from tests.acceptance.examples import EXAMPLES, in_python, service, subscribed
from tests.acceptance.purchases import purchase
from tests.code_blocks import texts
from tests.servers.fauxqs import fauxqs
from tests.servers.foreign_aws import ForeignSqs
from tests.servers.foreign_kafka import ForeignKafka, foreign_kafka
from tests.servers.stack import Stack
from tests.servers.waiting import wait_until

#: Name → the subscriber that the page tells the reader to create.
SUBSCRIBERS = {
    body["name"]: body for body in map(json.loads, texts("docs/routers.md", "json"))
}


@pytest.fixture
def kafka() -> Iterator[ForeignKafka]:
    with foreign_kafka() as cluster:
        yield cluster


@pytest.fixture
def sqs(npm_packages: Path) -> Iterator[ForeignSqs]:
    with fauxqs(npm_packages) as server:
        yield ForeignSqs(server)


@pytest.fixture(scope="module")
def key(shared_stack: Stack) -> str:
    scopes = "manage,targets,publish"
    return shared_stack.manage("create_api_key", "examples", "--scopes", scopes).strip()


@pytest.fixture
def parcels() -> ModuleType:
    """The module of the Lambda function, as Lambda imports it."""
    path = EXAMPLES / "sqs_lambda.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.long
@pytest.mark.xdist_group("stack")
def test_a_purchase_is_counted_once_by_the_analytics_behind_kafka(
    stack: Stack, kafka: ForeignKafka, key: str, tmp_path: Path
) -> None:
    """In both modes, and by two subscribers: a double does not count."""
    target = kafka.make()
    binary = {**SUBSCRIBERS["analytics"], "target": target}
    structured = {
        **binary,
        "name": "doubles",
        "target": {**target, "mode": "structured"},
    }
    environment = {
        "BOOTSTRAP_SERVERS": target["bootstrap_servers"],
        "TOPIC": target["topic"],
        "PATH": os.environ["PATH"],
    }

    with (
        subscribed(stack, key, binary),
        subscribed(stack, key, structured),
        service(in_python("kafka_analytics", ""), tmp_path, **environment) as example,
    ):
        Customer(stack.url).buy()
        wait_until(lambda: example.log_text().count(" done") == 2)

    assert example.rows("SELECT country, currency, minor FROM revenue") == [
        ("DE", "EUR", 1280)
    ]


@pytest.mark.long
@pytest.mark.xdist_group("stack")
def test_the_function_behind_a_fifo_queue_works_in_the_order_of_each_customer(
    stack: Stack,
    sqs: ForeignSqs,
    key: str,
    parcels: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    target = sqs.make()
    purchases = [
        {**purchase(f"{n}"), "partitionkey": f"customer-{n % 2}"} for n in range(6)
    ]
    fail_once(parcels, "purchase-2", monkeypatch)

    with subscribed(stack, key, {**SUBSCRIBERS["parcels"], "target": target}):
        post_together(stack, key, purchases)
        done: list[str] = []
        wait_until(lambda: handled(sqs, target["queue_url"], parcels, done) == 6)

    lines = capsys.readouterr().out.splitlines()
    sent = [
        line.partition(":")[0] for line in lines if "a parcel to Berlin, DE" in line
    ]
    for customer in ("024", "135"):
        own = [f"purchase-{n}" for n in customer]
        assert [each for each in sent if each in own] == own
    assert "purchase-2 of https://other.example failed" in caplog.text
    assert sqs.left({"queue_url": target["queue_url"]}) == 0


def test_what_follows_a_failure_in_its_group_goes_back_untried(
    parcels: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_once(parcels, "purchase-1", monkeypatch)
    records = [
        {
            "messageId": f"m{n}",
            "body": json.dumps(purchase(f"{n}")),
            "attributes": {"MessageGroupId": group},
        }
        for n, group in enumerate("abaab")
    ]

    response = parcels.lambda_handler({"Records": records}, None)

    assert response == {
        "batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": "m4"}]
    }


def fail_once(
    example: ModuleType, event_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work of this event fails at its first try."""
    work, tried = example.work, set()

    def failing(event: dict[str, Any]) -> None:
        if event["id"] == event_id and event_id not in tried:
            tried.add(event_id)
            raise RuntimeError("no carrier answers")
        work(event)

    monkeypatch.setattr(example, "work", failing)


def handled(sqs: ForeignSqs, url: str, example: ModuleType, done: list[str]) -> int:
    """Do once what the event source mapping of Lambda does; returns how many messages
    are done in all.

    SQS would give a failed message again after its visibility timeout: no test waits
    for that.
    """
    messages = sqs.sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=1,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["All"],
    ).get("Messages", [])
    event = {"Records": [record(each) for each in messages]}
    failures = example.lambda_handler(event, None)["batchItemFailures"]
    failed = {each["itemIdentifier"] for each in failures}
    for message in messages:
        place = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
        if message["MessageId"] in failed:
            sqs.sqs.change_message_visibility(**place, VisibilityTimeout=0)
        else:
            sqs.sqs.delete_message(**place)
            done.append(message["MessageId"])
    return len(done)


def record(message: dict[str, Any]) -> dict[str, Any]:
    """The message as Lambda hands it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "eventSource": "aws:sqs",
    }


def post_together(stack: Stack, key: str, events: list[dict[str, Any]]) -> None:
    """Publish all in one transaction."""
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/cloudevents-batch+json",
    }
    url, body = f"{stack.url}/api/events/", json.dumps(events).encode()
    with urllib.request.urlopen(
        urllib.request.Request(url, body, headers), timeout=60
    ) as response:
        assert response.status == 202
