"""A service in FastAPI that pulls all purchases, from the first, and serves figures.

    ROUTER_URL=https://shop.example ROUTER_KEY=… python3 fastapi_consumer.py

It needs FastAPI, uvicorn and `fanfare-client`. An operator creates its subscriber with
`"from": "beginning"`, so that it gets history and then live events. The figures are a
table of its own: lost, they come again by a replay.

    GET /sales     what was sold, by day, country and currency
    GET /healthz   503 when it does not consume any more

Environment:
    ROUTER_URL   where the router is
    ROUTER_KEY   an API key with the scope `consume`, bound to the subscriber
    SUBSCRIBER   whose deliveries to pull (default: analytics)
    DATABASE     file of the figures (default: fastapi_consumer.sqlite3)
    HOST, PORT   where it listens (default: 127.0.0.1, 9300)
"""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import uvicorn
from fanfare_client import Client, ClientError, Consumer, Event
from fastapi import FastAPI, Response

TABLES = """
    CREATE TABLE IF NOT EXISTS seen (
        source TEXT, id TEXT, PRIMARY KEY (source, id)
    );
    CREATE TABLE IF NOT EXISTS sales (
        day TEXT, country TEXT, currency TEXT, orders INTEGER, total_minor INTEGER,
        PRIMARY KEY (day, country, currency)
    );
"""
ADD = """
    INSERT INTO sales VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE
    SET orders = orders + 1, total_minor = total_minor + excluded.total_minor
"""
logger = logging.getLogger(__name__)


def count(connection: sqlite3.Connection, event: Event) -> bool:
    """Add a purchase to the figures once; returns whether this was the first time.

    An event comes again when its acknowledgement was lost. It is remembered in the
    transaction of the figures: both happen, or neither.
    """
    order, country = event.data["order"], event.data["shipping_address"]["country"]
    total = event.data["totals"]["total_minor"]
    with connection:
        known = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
        is_first = connection.execute(known, [event.source, event.id]).rowcount == 1
        if is_first:
            day = order["placed_at"][:10]
            connection.execute(ADD, [day, country, order["currency"], total])
    return is_first


def consume(consumer: Consumer, database: str) -> None:
    """Until the consumer is stopped, or the router refuses it."""
    with closing(sqlite3.connect(database)) as connection:
        try:
            for delivery in consumer.deliveries():
                # A failure here is logged and nacked: it comes again by the schedule.
                with delivery as event:
                    # The router's own test of the subscriber is no purchase.
                    if event.type == "purchase.completed":
                        is_first = count(connection, event)
                        said = "counted" if is_first else "known already"
                        print(event.id, said, flush=True)
        except ClientError as refused:
            logger.error("The router refused: %s", refused)


def create_app() -> FastAPI:
    """The figures, and the thread that pulls. Raises `KeyError` for a setting."""
    client = Client(os.environ["ROUTER_URL"], os.environ["ROUTER_KEY"])
    consumer = client.consumer(os.environ.get("SUBSCRIBER", "analytics"))
    database = os.environ.get("DATABASE", "fastapi_consumer.sqlite3")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(TABLES)
    thread = threading.Thread(target=consume, args=(consumer, database))

    @asynccontextmanager
    async def consuming(_: FastAPI) -> AsyncIterator[None]:
        thread.start()
        yield
        # What is at hand is finished, what has not begun is given back.
        consumer.stop()
        thread.join()

    app = FastAPI(title="Sales", lifespan=consuming)

    @app.get("/sales")
    def sales() -> list[dict[str, Any]]:
        with closing(sqlite3.connect(database)) as connection:
            connection.row_factory = sqlite3.Row
            rows = connection.execute("SELECT * FROM sales ORDER BY day, country")
            return [dict(row) for row in rows]

    @app.get("/healthz")
    def healthz(response: Response) -> dict[str, bool]:
        if not thread.is_alive():
            response.status_code = 503
        return {"consumes": thread.is_alive()}

    return app


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    try:
        app = create_app()
    except KeyError as missing:
        sys.exit(f"Set {missing.args[0]}; the head of this file says how.")
    # uvicorn sends itself the signal again once it has stopped.
    signal.signal(signal.SIGTERM, lambda *_: None)
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "9300")
    uvicorn.run(app, host=host, port=int(port), log_level="info")
    print("Stopped", flush=True)


if __name__ == "__main__":
    main()
