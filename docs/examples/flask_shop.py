"""A second shop, in Flask: it publishes each order, also one of a time of no router.

    ROUTER_URL=https://shop.example ROUTER_KEY=… python3 flask_shop.py

It needs Flask and `fanfare-client`. An order and its event are written in one
transaction; a thread publishes what was written, the oldest first. In production each
process of a WSGI server runs `create_app()` and has such a thread: an event that two of
them publish is one event, since its id is made of the order's number.

    PUT /orders/1001   an order; the answer and GET say what became of its event:
                       waiting, published or refused

Environment:
    ROUTER_URL   where the router is
    ROUTER_KEY   an API key with the scope `publish`
    SOURCE       who publishes (default: /flask-shop)
    DATABASE     file of the orders (default: flask_shop.sqlite3)
    HOST, PORT   where it listens (default: 127.0.0.1, 9200)
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import signal
import sqlite3
import sys
import threading
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from fanfare_client import Client, ClientError, Conflict, Invalid
from flask import Flask, request
from werkzeug.serving import BaseWSGIServer, make_server

#: What another process left in the outbox when it died is looked for this often.
LOOK_SECONDS = 5
NUMBER = re.compile(r"[A-Z0-9-]{1,32}")
#: SKU → name, price in cents.
CATALOGUE = {
    "CAR-301": ("Quickwater valve oil", 690),
    "STD-401": ("Folding music stand", 2900),
}
SHIPPING_MINOR = 590
TABLES = """
    CREATE TABLE IF NOT EXISTS customers (email TEXT PRIMARY KEY, id TEXT);
    CREATE TABLE IF NOT EXISTS orders (number TEXT PRIMARY KEY, body TEXT);
    CREATE TABLE IF NOT EXISTS outbox (
        id INTEGER PRIMARY KEY, number TEXT UNIQUE, event TEXT, problem TEXT
    );
"""
logger = logging.getLogger(__name__)


def create_app() -> Flask:
    """The shop, and the thread that publishes. Raises `KeyError` for a setting."""
    client = Client(os.environ["ROUTER_URL"], os.environ["ROUTER_KEY"])
    source = os.environ.get("SOURCE", "/flask-shop")
    database = os.environ.get("DATABASE", "flask_shop.sqlite3")
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(TABLES)
    is_new = threading.Event()
    # A daemon: killed at any moment, it leaves the event in the outbox.
    threading.Thread(
        target=publish_all, args=(client, source, database, is_new), daemon=True
    ).start()
    return shop(database, is_new)


def shop(database: str, is_new: threading.Event) -> Flask:
    app = Flask(__name__)

    @app.put("/orders/<number>")
    def place(number: str) -> tuple[dict[str, Any], int]:
        with closing(sqlite3.connect(database)) as connection:
            try:
                status = place_order(connection, number, request.get_json())
            except (KeyError, TypeError, ValueError) as fault:
                return {"detail": f"This is no order: {fault!r}"}, 422
            is_new.set()
            return state_of(connection, number), status

    @app.get("/orders/<number>")
    def show(number: str) -> tuple[dict[str, Any], int]:
        with closing(sqlite3.connect(database)) as connection:
            state = state_of(connection, number)
        return state, 200 if state else 404

    return app


def place_order(
    connection: sqlite3.Connection, number: str, body: Mapping[str, Any]
) -> int:
    """Write the order and its event, or neither; returns the status of the answer.

    The checkout chose the number: a second click sends the same order again.
    """
    text = json.dumps(body, sort_keys=True)
    with connection:
        # Before it is read: two requests of one number come one after the other.
        connection.execute("BEGIN IMMEDIATE")
        find = "SELECT body FROM orders WHERE number = ?"
        if known := connection.execute(find, [number]).fetchone():
            return 200 if known == (text,) else 409
        event = purchase(connection, number, body)
        connection.execute("INSERT INTO orders VALUES (?, ?)", [number, text])
        connection.execute(
            "INSERT INTO outbox (number, event) VALUES (?, ?)",
            [number, json.dumps(event)],
        )
    return 201


def purchase(
    connection: sqlite3.Connection, number: str, body: Mapping[str, Any]
) -> dict[str, Any]:
    """The event of this order, as the schema of purchases has it.

    It is made once, and kept until it is published: made again it would have another
    `placed_at`, which the router refuses under the same id.
    """
    if not NUMBER.fullmatch(number):
        raise ValueError("a number has A-Z, 0-9 and - alone")
    lines = [line(each["sku"], each["quantity"]) for each in body["lines"]]
    subtotal = sum(each["total_minor"] for each in lines)
    customer = body["customer"]
    opaque = customer_id(connection, customer["email"])
    data = {
        "order": {
            "id": f"order-{number}",
            "number": number,
            "placed_at": datetime.now(UTC).isoformat(),
            "currency": "EUR",
        },
        "customer": {**customer, "id": opaque},
        "shipping_address": body["shipping_address"],
        "lines": lines,
        "totals": {
            "subtotal_minor": subtotal,
            "shipping_minor": SHIPPING_MINOR,
            "total_minor": subtotal + SHIPPING_MINOR,
        },
        # Here goes what your payment provider says.
        "payment": {"method": "card", "last4": "4242"},
    }
    return {
        "type": "purchase.completed",
        "id": f"order-{number}",
        "subject": f"order-{number}",
        "partitionkey": opaque,
        "dataschema": "urn:fanfare:purchase.completed:1",
        "data": data,
    }


def line(sku: str, quantity: int) -> dict[str, Any]:
    name, price = CATALOGUE[sku]
    if type(quantity) is not int or quantity < 1:
        raise ValueError("a quantity is a whole number from 1 on")
    return {
        "sku": sku,
        "name": name,
        "quantity": quantity,
        "unit_price_minor": price,
        "total_minor": price * quantity,
    }


def customer_id(connection: sqlite3.Connection, email: str) -> str:
    """The same for the same address, and it says nothing of it."""
    new = [email, f"cus_{secrets.token_hex(10)}"]
    connection.execute("INSERT OR IGNORE INTO customers VALUES (?, ?)", new)
    find = "SELECT id FROM customers WHERE email = ?"
    return str(connection.execute(find, [email]).fetchone()[0])


def state_of(connection: sqlite3.Connection, number: str) -> dict[str, Any]:
    """What became of the order's event; empty where there is no such order."""
    find = """
        SELECT outbox.id IS NULL, problem FROM orders LEFT JOIN outbox USING (number)
        WHERE number = ?
    """
    row = connection.execute(find, [number]).fetchone()
    if row is None:
        return {}
    is_published, problem = row
    if problem:
        return {"number": number, "event": "refused", "problem": problem}
    return {"number": number, "event": "published" if is_published else "waiting"}


def publish_all(
    client: Client, source: str, database: str, is_new: threading.Event
) -> None:
    """Empty the outbox again and again, for as long as the process lives."""
    with closing(sqlite3.connect(database)) as connection:
        while True:
            is_new.clear()
            try:
                while publish_oldest(client, source, connection):
                    pass
            except (ClientError, sqlite3.Error) as error:
                # The client has waited for a router that is down; a key that is not
                # taken is a fault of the settings, and not of the event.
                logger.error("The outbox has to wait: %s", error)
            is_new.wait(LOOK_SECONDS)


def publish_oldest(client: Client, source: str, connection: sqlite3.Connection) -> bool:
    """Publish one event; returns whether there was one.

    Killed between the two steps, the thread publishes the event again: the router
    knows it by its id. Raises `ClientError` where the event has to wait.
    """
    find = "SELECT id, event FROM outbox WHERE problem IS NULL ORDER BY id LIMIT 1"
    row = connection.execute(find).fetchone()
    if row is None:
        return False
    number, event = row[0], json.loads(row[1])
    placed_at = datetime.fromisoformat(event["data"]["order"]["placed_at"])
    try:
        client.publish(**event, source=source, time=placed_at)
    except (Invalid, Conflict) as refused:
        # It is refused each time: the events behind it must not wait for a person.
        # The pointers alone: what is wrong there may be a customer's.
        pointers = " ".join(sorted({pointer for pointer, _ in refused.problems}))
        problem = f"{type(refused).__name__} {pointers}".strip()
        logger.error("%s is refused: %s", event["id"], problem)
        settle, values = "UPDATE outbox SET problem = ? WHERE id = ?", [problem, number]
    else:
        settle, values = "DELETE FROM outbox WHERE id = ?", [number]
    with connection:
        connection.execute(settle, values)
    return True


def main() -> None:
    logging.basicConfig(level=logging.INFO)
    try:
        app = create_app()
    except KeyError as missing:
        sys.exit(f"Set {missing.args[0]}; the head of this file says how.")
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "9200")
    server = make_server(host, int(port), app, threaded=True)
    signal.signal(signal.SIGTERM, lambda *_: stop(server))
    print(f"Listening on http://{host}:{server.port}", flush=True)
    server.serve_forever()
    print("Stopped", flush=True)


def stop(server: BaseWSGIServer) -> None:
    # In a thread: shutdown() waits for the loop, which the signal interrupts.
    threading.Thread(target=server.shutdown).start()


if __name__ == "__main__":
    main()
