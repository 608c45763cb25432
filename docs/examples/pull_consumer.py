"""A service that pulls what it is owed. It needs `fanfare-client` alone.

    ROUTER_URL=https://shop.example ROUTER_KEY=… python3 pull_consumer.py

Environment:
    ROUTER_URL    where the router is
    ROUTER_KEY    an API key with the scope `consume`
    SUBSCRIBER    whose deliveries to pull (default: erp)
    DATABASE      file of what was received (default: pull_consumer.sqlite3)
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from contextlib import closing

from fanfare_client import Client, ClientError, Event

TABLES = """
    CREATE TABLE IF NOT EXISTS seen (
        source TEXT, id TEXT, PRIMARY KEY (source, id)
    );
    CREATE TABLE IF NOT EXISTS received (type TEXT, subject TEXT);
"""


def receive(connection: sqlite3.Connection, event: Event) -> bool:
    """Do the work once; returns whether this was the first time.

    An event comes again when its acknowledgement was lost. It is remembered in the
    transaction of the work: both happen, or neither.
    """
    with connection:
        known = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
        is_first = connection.execute(known, [event.source, event.id]).rowcount == 1
        if is_first:
            work(connection, event)
    return is_first


def work(connection: sqlite3.Connection, event: Event) -> None:
    """Here goes what this service is for."""
    connection.execute(
        "INSERT INTO received VALUES (?, ?)", [event.type, event.subject]
    )


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    try:
        client = Client(os.environ["ROUTER_URL"], os.environ["ROUTER_KEY"])
    except KeyError as missing:
        sys.exit(f"Set {missing.args[0]}; the head of this file says how.")
    consumer = client.consumer(os.environ.get("SUBSCRIBER", "erp"))
    consumer.stop_on_signals()
    database = os.environ.get("DATABASE", "pull_consumer.sqlite3")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(TABLES)
        print("Waiting for events", flush=True)
        for delivery in consumer.deliveries():
            # A failure here is logged and nacked: the router says when it is due again.
            with delivery as event:
                is_first = receive(connection, event)
                print(event.id, "done" if is_first else "known already", flush=True)
    print("Stopped", flush=True)


if __name__ == "__main__":
    try:
        main()
    except ClientError as refused:
        sys.exit(f"The router refused: {refused}")
