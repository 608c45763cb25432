"""Revenue by hour and country, from the purchases in a topic of Kafka.

    BOOTSTRAP_SERVERS=kafka.example:9092 python3 kafka_analytics.py

It needs `pip install confluent-kafka`, and nothing of Fanfare.

Environment:
    BOOTSTRAP_SERVERS   the brokers (default: 127.0.0.1:9092)
    TOPIC               what to read (default: purchases)
    DATABASE            file of the figures (default: kafka_analytics.sqlite3)
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from threading import Event as Flag
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message

STRUCTURED = "application/cloudevents+json"
TABLES = """
    CREATE TABLE IF NOT EXISTS seen (
        source TEXT, id TEXT, PRIMARY KEY (source, id)
    );
    CREATE TABLE IF NOT EXISTS revenue (
        hour TEXT, country TEXT, currency TEXT, minor INTEGER,
        PRIMARY KEY (hour, country, currency)
    );
"""
ADD = """
    INSERT INTO revenue VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET minor = minor + excluded.minor
"""


def read_event(message: Message) -> dict[str, Any]:
    """The CloudEvent of a record, in either mode of the Kafka binding."""
    headers = {name: value.decode() for name, value in message.headers() or []}
    body = json.loads(message.value() or b"null")
    if headers["content-type"].startswith(STRUCTURED):
        return dict(body)
    attributes = {
        name.removeprefix("ce_"): value
        for name, value in headers.items()
        if name.startswith("ce_")
    }
    return {**attributes, "data": body}


def count(connection: sqlite3.Connection, event: dict[str, Any]) -> None:
    """Add a purchase to the figures once.

    A record comes again when its offset was not committed. It is remembered in the
    transaction of the figures: both happen, or neither.
    """
    purchase = event["data"]
    order, country = purchase["order"], purchase["shipping_address"]["country"]
    hour, total = order["placed_at"][:13], purchase["totals"]["total_minor"]
    with connection:
        known = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
        if connection.execute(known, [event["source"], event["id"]]).rowcount == 1:
            connection.execute(ADD, [hour, country, order["currency"], total])


def serve(consumer: Consumer, connection: sqlite3.Connection, stop: Flag) -> None:
    while not stop.is_set():
        message = consumer.poll(1.0)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        event = read_event(message)
        # The router's own test of the topic is no purchase.
        if event["type"] == "purchase.completed":
            count(connection, event)
        print(event["id"], "done", flush=True)
        consumer.commit(message, asynchronous=False)


def main() -> None:
    stop = Flag()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ.get("BOOTSTRAP_SERVERS", "127.0.0.1:9092"),
            "group.id": "analytics",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([os.environ.get("TOPIC", "purchases")])
    database = os.environ.get("DATABASE", "kafka_analytics.sqlite3")
    with closing(sqlite3.connect(database)) as connection, closing(consumer):
        connection.executescript(TABLES)
        serve(consumer, connection, stop)
    print("Stopped", flush=True)


if __name__ == "__main__":
    main()
