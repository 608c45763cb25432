"""Events a second to each foreign router, and from it, of one process each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from benchmarks.arithmetic import median, rounded, spread
from benchmarks.bench import Bench
from benchmarks.contenders import FANFARE, Setup
from benchmarks.run import running
from router.testing import recorded
from tests.servers.fauxqs import fauxqs
from tests.servers.foreign import ForeignRouter, Received
from tests.servers.foreign_amqp import ForeignRabbitMQ
from tests.servers.foreign_aws import ForeignSns, ForeignSqs
from tests.servers.foreign_kafka import foreign_kafka
from tests.servers.foreign_pubsub import foreign_pubsub
from tests.servers.node import PACKAGES, node_modules
from tests.servers.unavailable import Unavailable

OUT = replace(FANFARE, module="foreign", queues="router.webhooks")
IN = replace(OUT, dispatcher=("manage.py", "bridge", "bench"))
#: As production starts the worker of what goes out.
SETUP = Setup(pool="threads", workers=16, subscribers=0)
#: Of an emulator that takes some hundred a second.
SLOW_SHARE = 0.2
#: It ends what hangs.
DONE_SECONDS = 240.0
#: Pub/Sub takes no more messages in a request.
MAX_SENT = 1000


def _rabbitmq(bench: Bench, stack: ExitStack) -> list[ForeignRouter]:
    node: Any = bench.servers.broker("rabbitmq")
    return [ForeignRabbitMQ(node)]


def _kafka(bench: Bench, stack: ExitStack) -> list[ForeignRouter]:
    return [stack.enter_context(foreign_kafka())]


def _pubsub(bench: Bench, stack: ExitStack) -> list[ForeignRouter]:
    return [stack.enter_context(foreign_pubsub())]


def _aws(bench: Bench, stack: ExitStack) -> list[ForeignRouter]:
    server = stack.enter_context(fauxqs(node_modules(*PACKAGES)))
    return [ForeignSqs(server), ForeignSns(server)]


#: What is to be started → how.
SERVERS: dict[str, Callable[[Bench, ExitStack], list[ForeignRouter]]] = {
    "RabbitMQ": _rabbitmq,
    "Kafka": _kafka,
    "Pub/Sub": _pubsub,
    "SQS and SNS": _aws,
}


def foreign(bench: Bench) -> dict[str, Any]:
    rates: dict[tuple[str, str], list[float]] = defaultdict(list)
    with ExitStack() as stack:
        routers = {router.kind: router for router in _started(bench, stack)}
        titles = {
            (kind, way): f"{kind}, {way}" for kind in routers for way in ("out", "in")
        }
        for kind, way in bench.in_turn(titles):
            measure = _out if way == "out" else _in
            rates[kind, way].append(measure(bench, routers[kind], _count(bench, kind)))
    return {"foreign": [_entry(kind, rates, _count(bench, kind)) for kind in routers]}


def _started(bench: Bench, stack: ExitStack) -> Iterable[ForeignRouter]:
    for name, start in SERVERS.items():
        try:
            yield from start(bench, stack)
        except Unavailable as error:
            bench.log(f"without {name}: {error}")


def _count(bench: Bench, kind: str) -> int:
    share = SLOW_SHARE if kind in ("sqs", "sns") else 1
    return int(bench.sizes.foreign * share)


def _entry(
    kind: str, rates: dict[tuple[str, str], list[float]], count: int
) -> dict[str, Any]:
    return {
        "name": kind,
        "count": count,
        **{f"{way}_per_s": rounded(median(rates[kind, way])) for way in ("out", "in")},
        "spread": {way: spread(rates[kind, way]) for way in ("out", "in")},
    }


def _out(bench: Bench, router: ForeignRouter, count: int) -> float:
    """From the first acknowledgement, which does not count, to the last."""
    target = {"transport": router.kind, "target": router.make()}
    with running(bench, OUT, SETUP.but(target=json.dumps(target))) as run:
        run.play("fill", count=count)
        run.start()
        later, seconds = run.after_first(run.wait_done(count, seconds=DONE_SECONDS))
        return later / max(seconds, 1e-3)


def _in(bench: Bench, router: ForeignRouter, count: int) -> float:
    feed = router.make_feed()
    for first in range(0, count, MAX_SENT):
        last = min(first + MAX_SENT, count)
        router.send(feed, [_message(number) for number in range(first, last)])
    settings = {"bridges": {"bench": feed}}
    with running(bench, IN, SETUP.but(router=json.dumps(settings))) as run:
        run.start_dispatchers()
        run.wait(lambda: recorded().count == count, DONE_SECONDS)
        return _recorded_per_s()


def _recorded_per_s() -> float:
    """From the first event, which does not count, to the last."""
    first_at = recorded().first_at
    later = recorded(since=first_at)
    if first_at is None or later.last_at is None:
        return 0.0
    return later.count / (later.last_at - first_at).total_seconds()


def _message(number: int) -> Received:
    event = {
        "specversion": "1.0",
        "id": str(number),
        "source": "/bench",
        "type": "order.placed",
        "data": {"number": number},
    }
    return Received(
        body=json.dumps(event).encode(), content_type="application/cloudevents+json"
    )
