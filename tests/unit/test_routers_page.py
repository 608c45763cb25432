"""The page of the foreign routers names each field that a kind has, and no other; and
its table of bindings says what a message has."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from google.pubsub_v1.types import PubsubMessage
from pydantic import BaseModel

from config.env import BASE_DIR
from router.contract.binding import attributes_of
from router.contract.event import Event
from router.transports.amqp.binding import from_amqp
from router.transports.kinds import FEEDS, KINDS, open_publisher
from router.transports.pubsub.binding import from_pubsub

PAGE = (BASE_DIR / "docs/routers.md").read_text()
TARGETS = {name: kind.target for name, kind in KINDS.items()}


def fields(section: str, kind: str) -> set[str]:
    """The names in the first column, of the rows of this kind, or of all."""
    _, _, rest = PAGE.partition(f"\n## {section}\n")
    named: set[str] = set()
    for line in rest.partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if len(cells) > 2 and (f"`{kind}`" in cells[1] or cells[1] == "all"):
            named |= {name.strip("` ") for name in cells[0].split(",")}
    return named


@pytest.mark.parametrize(
    ("section", "models", "others"),
    [
        ("Publish to one", TARGETS, set()),
        ("Take in from one", FEEDS, {"from"}),
    ],
)
def test_the_fields_of_each_kind_are_those_of_the_page(
    section: str, models: dict[str, type[BaseModel]], others: set[str]
) -> None:
    in_code = {name: {*model.model_fields, *others} for name, model in models.items()}

    assert {name: fields(section, name) for name in models} == in_code


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_row_its_extra_and_its_section(kind: str) -> None:
    title, extra = KINDS[kind].title, KINDS[kind].extra

    assert f"| `{kind}` | `pip install 'django-fanfare[{extra}]'` |" in PAGE
    assert any(
        title.removeprefix("Amazon ") in line
        for line in PAGE.splitlines()
        if line.startswith("## ")
    )


EVENT = Event(
    id="e1",
    source="/shop",
    type="order.placed",
    time=datetime(2026, 1, 1, tzinfo=UTC),
    subject="order-7",
    dataschema="urn:shop:order.placed:1",
    partitionkey="customer-7",
    traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    extensions={"tenant": "north"},
    data={"n": 1},
)
TARGET_OF: dict[str, dict[str, Any]] = {
    "amqp": {"url": "amqp://mq.example"},
    "kafka": {"bootstrap_servers": "kafka.example:9092", "topic": "events"},
    "sqs": {"queue_url": "https://sqs.eu-west-1.amazonaws.com/123456789012/a.fifo"},
    "sns": {"topic_arn": "arn:aws:sns:eu-west-1:123456789012:a.fifo"},
    "pubsub": {"topic": "projects/shop/topics/events"},
}


def beside_the_body(kind: str) -> tuple[set[str], str]:
    """The names that a message of this kind has beside its body, and its key."""
    message = open_publisher(kind, TARGET_OF[kind]).message(EVENT)
    match kind:
        case "amqp":
            assert message.message.content_type == EVENT.datacontenttype
            headers = message.message.headers
            return {*headers, "content-type"}, headers["cloudEvents_partitionkey"]
        case "kafka":
            return {name for name, _ in message.headers}, message.key.decode()
        case "pubsub":
            return set(message.message.attributes), message.message.ordering_key
    group = "MessageGroupId"
    return {*message.fields["MessageAttributes"], group}, message.fields[group]


def names_of(kind: str, *, are_only_read: bool) -> set[str]:
    """The names in the row of this kind in the table of bindings."""
    _, _, rest = PAGE.partition("\n## How an event is written\n")
    lines = rest.partition("\n## ")[0].splitlines()
    [row] = [line for line in lines if f"`{kind}`" in line.partition(" | ")[0]]
    clauses = row.partition(" | ")[2].replace(" | ", ";").split(";")
    return {
        name
        for clause in clauses
        for name in re.findall("`(.+?)`", clause)
        if ("is read too" in clause) is are_only_read
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_has_beside_its_body_what_the_table_says(kind: str) -> None:
    names, key = beside_the_body(kind)

    in_table = {
        name.replace("NAME", attribute)
        for name in names_of(kind, are_only_read=False)
        for attribute in attributes_of(EVENT)
    }
    # The event's own attribute, no name of the message.
    assert names == in_table - {"partitionkey"}
    assert key == EVENT.partitionkey


def test_a_bridge_reads_the_other_names_of_the_table_too() -> None:
    headers = {"cloudEvents:id": "e1"}
    by_amqp: Any = SimpleNamespace(headers=headers, body=b"", content_type=None)
    attributes = {"ce-datacontenttype": "image/png"}
    by_pubsub = PubsubMessage(data=b"", attributes=attributes)

    assert from_amqp(by_amqp).attributes == {"id": "e1"}
    assert from_pubsub(by_pubsub).content_type == "image/png"
    assert {kind: names_of(kind, are_only_read=True) for kind in KINDS} == {
        "amqp": {"cloudEvents:NAME"},
        "kafka": set(),
        "sqs": set(),
        "sns": set(),
        "pubsub": {"ce-datacontenttype"},
    }
