"""What publishing costs the publisher."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from benchmarks.arithmetic import median, ratio, rounded, spread
from benchmarks.bench import Bench
from benchmarks.contenders import (
    FANFARE,
    INSERT,
    NAIVE,
    WITH_ORDERS,
    Contender,
    Setup,
)
from benchmarks.run import running

CLIENT_PROCESSES = 4
CLIENT_THREADS = 8
CLIENTS = CLIENT_PROCESSES * CLIENT_THREADS
#: With more, slow contenders get fewer orders: each takes a large part of a second.
MANY_SUBSCRIBERS = 50


def publish_added_ms(bench: Bench) -> dict[str, Any]:
    """Milliseconds that publishing adds to an order's transaction, at the median."""
    added: dict[tuple[str, int], list[float]] = defaultdict(list)
    alone: list[float] = []
    titles = {
        (contender, subscribers): f"{contender.title}, {subscribers} subscribers"
        for subscribers in bench.sizes.subscribers
        for contender in bench.present(WITH_ORDERS)
    }
    for contender, subscribers in bench.in_turn(titles):
        order_ms, published_ms = _one_round(bench, contender, subscribers)
        added[contender.name, subscribers].append(published_ms - order_ms)
        alone.append(order_ms)
    return {
        "order_ms": rounded(median(alone)),
        "publish_added_ms": _by_subscribers(bench, added, FANFARE.name),
        "publish_added_ms_of": {
            contender.name: _by_subscribers(bench, added, contender.name)
            for contender in bench.present(WITH_ORDERS)
            if contender is not FANFARE
        },
        "publish_added_ms_spread": {
            f"{name} {subscribers}": spread(values)
            for (name, subscribers), values in added.items()
        },
    }


def _one_round(
    bench: Bench, contender: Contender, subscribers: int
) -> tuple[float, float]:
    is_slow = subscribers > MANY_SUBSCRIBERS and contender is not FANFARE
    count = max(10, bench.sizes.orders // (10 if is_slow else 1))
    with running(bench, contender, Setup(subscribers=subscribers)) as run:
        (result,) = run.play("added", count=count)
    return _p50(result["order_ms"]), _p50(result["published_ms"])


def _p50(values: list[float]) -> float:
    return median(values) or 0.0


def _by_subscribers(
    bench: Bench, added: dict[tuple[str, int], list[float]], name: str
) -> dict[str, float | None]:
    return {
        str(count): rounded(median(added[name, count]))
        for count in bench.sizes.subscribers
    }


def publish_throughput(bench: Bench) -> dict[str, Any]:
    """Orders a second of 32 clients, with and without publishing."""
    rates: dict[str, list[float]] = defaultdict(list)
    kinds = {"without": (FANFARE, True), "with": (FANFARE, False)}
    kinds["insert"] = (INSERT, False)
    kinds["naive"] = (NAIVE, False)
    titles = {kind: f"{CLIENTS} clients, {kind} publishing" for kind in kinds}
    for kind in bench.in_turn(titles):
        contender, is_silent = kinds[kind]
        rates[kind].append(_rate(bench, contender, is_silent=is_silent))
    without, publishing = median(rates["without"]), median(rates["with"])
    return {
        "publish_throughput": {
            "clients": CLIENTS,
            "without_per_s": rounded(without),
            "with_per_s": rounded(publishing),
            "insert_per_s": rounded(median(rates["insert"])),
            "naive_per_s": rounded(median(rates["naive"])),
            "ratio_with_to_without": ratio(publishing, without),
            "ratio_insert_to_without": ratio(median(rates["insert"]), without),
            "ratio_naive_to_without": ratio(median(rates["naive"]), without),
            "spread": {kind: spread(values) for kind, values in rates.items()},
        }
    }


def _rate(bench: Bench, contender: Contender, *, is_silent: bool) -> float:
    with running(bench, contender, Setup()) as run:
        published = run.play(
            "clients",
            publishers=CLIENT_PROCESSES,
            threads=CLIENT_THREADS,
            seconds=bench.sizes.client_seconds,
            is_silent=is_silent,
        )
    return float(sum(each["orders"] / each["seconds"] for each in published))
