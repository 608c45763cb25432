"""Messages that are not the router's are dropped, and the worker goes on."""

from __future__ import annotations

import base64
import bz2
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis
from amqp.basic_message import Message as AmqpMessage
from celery import Celery
from kombu import Connection

from router.celery_settings import DEFAULTS
from router.conf import QUEUES
from router.messaging.broker import TASK, Doorbell, Message
from router.messaging.redis_qos import tolerate
from tests import containers
from tests.servers.celery_worker import celery_worker
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.server import Server
from tests.servers.valkey import Valkey
from tests.servers.waiting import wait_until

pytestmark = [
    pytest.mark.xdist_group("foreign rabbitmq"),
    pytest.mark.django_db(transaction=True),
]
QUEUE = QUEUES["default"]
#: No log may have it.
SECRET = "swordfish"
NO_EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
OTHER_TASK = {"task": "celery.map", "args": [], "kwargs": {}, "options": {}}
FAR = "2999-01-01T00:00:00+00:00"


def a_message(
    body: Any = ((1, [1]), {}, NO_EMBED),
    *,
    content_type: str | None = "application/json",
    content_encoding: str | None = "utf-8",
    properties: dict[str, Any] | None = None,
    **headers: Any,
) -> dict[str, Any]:
    """One of the router's, but for what is given."""
    given = {"task": TASK, "id": "a", "retries": 0, "lang": "py", **headers}
    return {
        "body": body if isinstance(body, bytes | str) else json.dumps(body),
        "content_type": content_type,
        "content_encoding": content_encoding,
        "headers": {key: value for key, value in given.items() if value != "ABSENT"},
        **(properties or {}),
    }


FOREIGN = {
    "time limit of texts": a_message(timelimit=["swordfish", "soon"], id=["swordfish"]),
    "another task": a_message(task="celery.map"),
    "no such task": a_message(task=f"os.system.{SECRET}"),
    "a task that is no text": a_message(task=[SECRET]),
    "no task": a_message(task="ABSENT"),
    "no id": a_message(id="ABSENT"),
    "id no text": a_message(id={SECRET: 1}),
    "id too long": a_message(id=SECRET * 1000),
    "retries of text": a_message(retries=SECRET),
    "retries below zero": a_message(retries=-5),
    "retries without end": a_message(retries=10**9),
    "eta no time": a_message(eta=SECRET),
    "eta a number": a_message(eta=5),
    "eta far": a_message(eta=FAR),
    "eta without zone": a_message(eta="2999-01-01T00:00:00"),
    "not JSON": a_message(SECRET),
    "not UTF-8": a_message(b"\xff\xfe" + SECRET.encode()),
    "deep": a_message("[" * 100_000),
    "huge": a_message([[1, [1] * 200_000], {}, NO_EMBED]),
    "empty": a_message(""),
    "no list": a_message({"args": [1, [1]], "task": TASK}),
    "protocol 1": a_message({"args": [1, [1]], "kwargs": {}, "id": "b"}, task="ABSENT"),
    "too few": a_message([[1], {}, NO_EMBED]),
    "too many": a_message([[1, [1], 2], {}, NO_EMBED]),
    "texts": a_message([[SECRET, ["1"]], {}, NO_EMBED]),
    "no ids": a_message([[True, [None]], {}, NO_EMBED]),
    "a number beyond the database's": a_message([[10**30, [1]], {}, NO_EMBED]),
    "keywords": a_message([[], {"subscriber_id": 1, "ids": [1]}, NO_EMBED]),
    "callbacks": a_message([[1, [1]], {}, {**NO_EMBED, "callbacks": [OTHER_TASK]}]),
    "errbacks": a_message([[1, [1]], {}, {**NO_EMBED, "errbacks": [OTHER_TASK]}]),
    "chain": a_message([[1, [1]], {}, {**NO_EMBED, "chain": [OTHER_TASK]}]),
    "chord": a_message([[1, [1]], {}, {**NO_EMBED, "chord": OTHER_TASK}]),
    "pickle": a_message(b"\x80\x04.", content_type="application/x-python-serialize"),
    "yaml": a_message(f"- {SECRET}", content_type="application/x-yaml"),
    "no content type": a_message(content_type=None),
    "another encoding": a_message(content_encoding="utf-16"),
    "unknown compression": a_message(compression=SECRET),
    "not compressed": a_message(compression="application/x-gzip"),
}


@cache
def bombs() -> list[dict[str, Any]]:
    """Two hundred megabytes of spaces each: packed by the process that sends them."""
    packers = {"gzip": zlib.compress, "bz2": bz2.compress}
    return [
        a_message(pack(b" " * 200_000_000), compression=f"application/x-{kind}")
        for kind, pack in packers.items()
    ]


#: Whose headers say what Celery must not hear; the work itself is the router's.
HARMLESS = {
    "time limit of texts": a_message(id="good-1", timelimit=["soon", "later"]),
    "time limit of nothing": a_message(id="good-2", timelimit=[0.001, 0.001]),
    "expired": a_message(id="good-3", expires="2000-01-01T00:00:00+00:00"),
    "no time": a_message(id="good-4", expires=SECRET, group=[1], stamps=SECRET),
    "answers": a_message(
        id="good-5", ignore_result=False, properties={"reply_to": QUEUE}
    ),
    "shadow": a_message(id="good-6", shadow=SECRET, argsrepr=SECRET, meth=5),
}

#: Of AMQP: bytes that are no text, a time that no clock has.
UNREADABLE: dict[str, dict[str, Any]] = {
    "content type": {"content_type": b"\xff\xfe"},
    "message id": {"message_id": b"\xff"},
    "header name": {"application_headers": {b"\xff": "x"}},
    "header of bytes": {"application_headers": {"task": b"\xff"}},
    "time": {"application_headers": {"x": datetime(1970, 1, 1, tzinfo=UTC)}},
}
#: Entries of a list of Redis that are no envelope.
RAW = [
    SECRET,
    b"\xff\xfe",
    "",
    "null",
    "[]",
    "5",
    "{}",
    '{"properties": {}}',
    '{"properties": {"delivery_tag": {}}, "body": "e30="}',
    '{"properties": {"delivery_tag": "x"}, "body": "e30=", "headers": [1]}',
    '{"properties": {"delivery_tag": "x", "body_encoding": "base64"}, "body": "%"}',
    '{"__type__": "datetime", "__value__": "swordfish"}',
    "[" * 100_000,
]


def envelope(**changes: Any) -> str:
    """As kombu lays a message down in Redis."""
    delivery = {"exchange": "", "routing_key": QUEUE}
    body = json.dumps([[1, [1]], {}, NO_EMBED]).encode()
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"task": TASK, "id": "a"},
            "properties": {
                "delivery_tag": "tag",
                "delivery_info": delivery,
                "body_encoding": "base64",
                **changes,
            },
        }
    )


REDIRECTED = [
    envelope(delivery_info={"exchange": "", "routing_key": "elsewhere"}),
    envelope(delivery_info={"exchange": "elsewhere", "routing_key": QUEUE}),
    envelope(delivery_info=[1]),
    envelope(delivery_tag=[SECRET]),
]


@pytest.fixture(params=["prefork", "threads"])
def pool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["redis", "amqp"])
def any_broker(request: pytest.FixtureRequest) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("broker_url"))
    server: RabbitMQ = request.getfixturevalue("foreign_rabbitmq_server")
    return server.url


def send(url: str, *messages: dict[str, Any]) -> None:
    """RabbitMQ confirms each: what it has not confirmed may never have arrived."""
    options = {"confirm_publish": True} if url.startswith("amqp") else {}
    with Connection(url, transport_options=options) as connection:
        producer = connection.Producer()
        for message in messages:
            body = message["body"]
            rest = {key: value for key, value in message.items() if key != "body"}
            # Else kombu finds a content type of its own.
            if rest["content_type"] is None:
                rest["content_type"] = ""
            producer.publish(body, exchange="", routing_key=QUEUE, **rest)


def send_as_a_retry(url: str) -> None:
    """As Celery does it while the database is away: it comes after a second."""
    with Celery("test", broker=url, set_as_current=False) as app:
        app.add_defaults(lambda: DEFAULTS)
        app.send_task(TASK, args=(1, [1]), queue=QUEUE, countdown=1, retries=1)


Count = Callable[[str], int]


def counter(worker: Server) -> Count:
    """Counts a text in what the worker logs from now on; fails when it has ended."""
    begun_at = len(worker.log.read_text())

    def count(part: str) -> int:
        worker.check_runs()
        return worker.log.read_text()[begun_at:].count(part)

    return count


def assert_quiet(worker: Server) -> None:
    """It is the same process, and its log has no content and no traceback."""
    worker.check_runs()
    log = worker.log.read_text()
    assert SECRET not in log
    assert "Traceback" not in log
    assert "Unrecoverable" not in log


@pytest.mark.long
def test_a_worker_drops_what_is_not_the_routers_and_goes_on(
    tmp_path: Path, any_broker: str, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker for all: to start it takes two seconds of a processor."""
    with celery_worker(tmp_path, any_broker, pool=pool) as worker:
        drops_foreign_messages(any_broker, counter(worker))
        if any_broker.startswith("redis"):
            drops_junk_in_the_lists(any_broker, counter(worker))
        else:
            drops_unreadable_properties(any_broker, counter(worker), monkeypatch)
        assert_quiet(worker)


def drops_foreign_messages(url: str, count: Count) -> None:
    messages = [*FOREIGN.values(), *bombs()]
    send(url, *messages)
    wait_until(lambda: count(": dropped.") == len(messages))
    assert count("succeeded") == 0

    send(url, *HARMLESS.values())
    wait_until(lambda: count("succeeded") == len(HARMLESS))

    send_as_a_retry(url)
    wait_until(lambda: count("succeeded") == len(HARMLESS) + 1)


def drops_unreadable_properties(
    url: str, count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_unreadable(url, monkeypatch)
    send(url, a_message())

    wait_until(lambda: count("succeeded") == 1)
    # They came over another connection: RabbitMQ may queue them behind it.
    wait_until(lambda: count(": dropped.") == len(UNREADABLE))


def drops_junk_in_the_lists(url: str, count: Count) -> None:
    junk = [*RAW, *REDIRECTED]
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.lpush(QUEUE, *junk, envelope())

        wait_until(lambda: count("succeeded") == 1)
        wait_until(lambda: not client.exists("unacked", "unacked_index", QUEUE))
    assert count(": dropped.") == len(junk)


def send_unreadable(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of `UNREADABLE`, with the time of the year 292,277,026,596."""
    with monkeypatch.context() as patch, Connection(url) as connection:
        patch.setattr("amqp.serialization.calendar.timegm", lambda _: 2**63 - 1)
        for properties in UNREADABLE.values():
            message: Any = AmqpMessage(b"x", **properties)
            connection.default_channel.basic_publish(
                message, exchange="", routing_key=QUEUE
            )


@pytest.fixture
def client(broker_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(broker_url, decode_responses=True) as opened:
        yield opened


def test_junk_among_the_unacknowledged_does_not_keep_messages_from_coming_back(
    client: redis.Redis, valkey_server: Valkey
) -> None:
    lost = json.dumps([json.loads(envelope()), "", QUEUE])
    given = {"junk": SECRET, "list": "[]", "lost": lost}
    client.hset("unacked", mapping=given)
    # Junk is the oldest; of one entry there is nothing but the time.
    client.zadd("unacked_index", {"junk": 1, "list": 2, "nothing": 3, "lost": 4})

    with Connection(valkey_server.url) as connection:
        tolerate(connection)
        channel: Any = connection.channel()
        channel.qos.restore_visible()

    assert client.llen(QUEUE) == 1
    assert not client.exists("unacked", "unacked_index")


def test_the_rights_of_docker_valkey_conf_suffice(
    tmp_path: Path, client: redis.Redis, valkey_server: Valkey
) -> None:
    conf = (containers.DOCKER / "valkey.conf").read_text().splitlines()
    (user,) = (line for line in conf if line.startswith("user fanfare "))
    client.execute_command("ACL", "SETUSER", *user.split()[1:])
    url = valkey_server.url.replace("://", "://fanfare:swordfish@")
    app = Celery("test", broker=url, set_as_current=False)
    app.add_defaults(lambda: DEFAULTS)
    doorbell = Doorbell(app)
    # One that a dead worker left: a new one gives it back.
    client.hset("unacked", "lost", json.dumps([json.loads(envelope()), "", QUEUE]))
    client.zadd("unacked_index", {"lost": 1})
    try:
        with celery_worker(tmp_path, url, pool="prefork") as worker:
            assert doorbell.waiting_count("default") == 0
            doorbell.send([Message("default", 1, [1]), Message("default", 1, [2])])
            wait_until(lambda: worker.log.read_text().count("succeeded") == 3)
            assert_quiet(worker)
    finally:
        doorbell.close()
        client.execute_command("ACL", "DELUSER", "fanfare")
