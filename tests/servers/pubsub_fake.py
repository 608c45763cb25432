"""Google Pub/Sub as far as the tests need it, as a process that keeps all in a file.

`python pubsub_fake.py PORT FILE`. Tests read the file, and write faults into it: each
is a topic, a code of gRPC, a text that a message of a request has for which the code is
answered, and how often. A message may bring its id, as one has that comes again.
"""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.pubsub_v1 import types

TABLES = """
CREATE TABLE IF NOT EXISTS topic (name);
CREATE TABLE IF NOT EXISTS subscription (name, topic, seconds);
CREATE TABLE IF NOT EXISTS fault (topic, code, text, remaining);
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY, subscription, key, body, ack_id, leased_until
);
PRAGMA synchronous = OFF;
"""
#: Free, and none of its key is with a client.
READY = """
SELECT number, body FROM message AS own
WHERE subscription = :subscription AND leased_until < :now AND NOT EXISTS (
    SELECT 1 FROM message AS other
    WHERE other.subscription = own.subscription AND other.key = own.key
    AND own.key <> '' AND other.leased_until >= :now
) ORDER BY number LIMIT :count
"""
LOOK_SECONDS = 0.02
#: An empty answer goes out before the client's time limit ends.
SPARE_SECONDS = 0.1


class Refused(Exception):
    """Answered with a code of gRPC."""


class Fake:
    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(TABLES)
        self._lock = threading.Lock()

    def create_topic(self, request: Any, _: Any) -> Any:
        self._all("INSERT INTO topic VALUES (?)", request.name)
        return request

    def create_subscription(self, request: Any, _: Any) -> Any:
        row = request.name, request.topic, request.ack_deadline_seconds
        self._all("INSERT INTO subscription VALUES (?, ?, ?)", *row)
        return request

    def publish(self, request: Any, _: Any) -> Any:
        messages = list(request.messages)
        self._check(request.topic, messages)
        query = "SELECT name FROM subscription WHERE topic = ?"
        for message in messages:
            message.message_id = message.message_id or uuid.uuid4().hex
        rows = [
            (name, message.ordering_key, types.PubsubMessage.serialize(message), "", 0)
            for [name] in self._all(query, request.topic)
            for message in messages
        ]
        with self._lock, self._db:
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT INTO message VALUES (NULL, ?, ?, ?, ?, ?)", rows
            )
        return types.PublishResponse(message_ids=[each.message_id for each in messages])

    def _check(self, topic: str, messages: Sequence[Any]) -> None:
        if not self._all("SELECT 1 FROM topic WHERE name = ?", topic):
            raise Refused(grpc.StatusCode.NOT_FOUND)
        if len({each.ordering_key for each in messages}) > 1 or len(messages) > 1000:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT)
        query = "SELECT rowid, code, text FROM fault WHERE topic = ? AND remaining > 0"
        for number, code, text in self._all(query, topic):
            if any(text in str(each) for each in messages):
                change = "UPDATE fault SET remaining = remaining - 1 WHERE rowid = ?"
                self._all(change, number)
                raise Refused(grpc.StatusCode[code])

    def pull(self, request: Any, context: Any) -> Any:
        query = "SELECT seconds FROM subscription WHERE name = ?"
        if not (rows := self._all(query, request.subscription)):
            raise Refused(grpc.StatusCode.NOT_FOUND)
        [[seconds]] = rows
        while True:
            taken = self._lease(request.subscription, request.max_messages, seconds)
            if taken or context.time_remaining() < SPARE_SECONDS:
                return types.PullResponse(received_messages=taken)
            time.sleep(LOOK_SECONDS)

    def _lease(self, subscription: str, count: int, seconds: int) -> list[Any]:
        now = time.time()
        values = {"subscription": subscription, "now": now, "count": count}
        change = "UPDATE message SET ack_id = ?, leased_until = ? WHERE number = ?"
        taken = []
        with self._lock:
            for number, body in self._db.execute(READY, values).fetchall():
                message = types.PubsubMessage.deserialize(body)
                ack_id = uuid.uuid4().hex
                self._db.execute(change, (ack_id, now + seconds, number))
                taken.append(types.ReceivedMessage(ack_id=ack_id, message=message))
        return taken

    def acknowledge(self, request: Any, _: Any) -> Any:
        for ack_id in request.ack_ids:
            self._all("DELETE FROM message WHERE ack_id = ?", ack_id)
        return Empty()

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()


def answered(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def answer(request: Any, context: Any) -> Any:
        try:
            return call(request, context)
        except Refused as refused:
            code = refused.args[0]
            context.abort(code, f"It is {code.name.lower().replace('_', ' ')}.")

    return answer


def handler(call: Callable[[Any, Any], Any], request: Any, response: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        answered(call),
        request_deserializer=request.deserialize,
        response_serializer=getattr(response, "serialize", Empty.SerializeToString),
    )


def services(fake: Fake) -> list[Any]:
    publisher = {
        "CreateTopic": handler(fake.create_topic, types.Topic, types.Topic),
        "Publish": handler(fake.publish, types.PublishRequest, types.PublishResponse),
    }
    subscriber = {
        "CreateSubscription": handler(
            fake.create_subscription, types.Subscription, types.Subscription
        ),
        "Pull": handler(fake.pull, types.PullRequest, types.PullResponse),
        "Acknowledge": handler(fake.acknowledge, types.AcknowledgeRequest, Empty),
    }
    return [
        grpc.method_handlers_generic_handler("google.pubsub.v1.Publisher", publisher),
        grpc.method_handlers_generic_handler("google.pubsub.v1.Subscriber", subscriber),
    ]


def main(port: str, path: str) -> None:
    limit = ("grpc.max_receive_message_length", 10_000_000)
    server = grpc.server(ThreadPoolExecutor(20), options=[limit])
    server.add_generic_rpc_handlers(services(Fake(path)))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
