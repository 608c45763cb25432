"""The tables on the terminal, ratios first, and the file beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.arithmetic import ratio
from benchmarks.contenders import TITLES

Taken = Mapping[str, Any]
Rows = list[list[str]]

UNKNOWN = "–"
DAY = 24 * 60 * 60
KINDS = ("publisher", "dispatcher", "worker", "database", "broker")
RATIOS = {
    "ratio_to_bare_celery": "÷ bare",
    "ratio_to_naive": "÷ naive",
    "ratio_to_procrastinate": "÷ procrastinate",
    "ratio_to_pgqueuer": "÷ pgqueuer",
    "ratio_to_pgqueuer_batch": "÷ at batch 200",
    "ratio_to_graphile_worker": "÷ graphile",
}

#: Run → its title, and the key of its rate.
WEBHOOKS = {
    "one_endpoint": ("Fanfare, one endpoint, {:,} in flight", "per_s"),
    "ten_endpoints": ("Fanfare, ten endpoints", "per_s_ten_endpoints"),
    "threads_requests": (TITLES["threads_requests"], "threads_requests_per_s"),
}
LATE = {
    "handler": "a handler",
    "pull": "a client that pulls",
    "webhook": "a webhook",
}
PARTS = ("ratio", "with", "without")
#: Kind of a foreign router → the server that was used.
FOREIGN = {
    "amqp": "RabbitMQ, a quorum queue on one node",
    "kafka": "Kafka, librdkafka's cluster for tests",
    "pubsub": "Pub/Sub, a fake",
    "sqs": "SQS FIFO, fauxqs",
    "sns": "SNS FIFO, fauxqs",
}


def save(path: Path, taken: Taken) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(taken, indent=2) + "\n")


def load(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise SystemExit(f"There is no {path} yet: run `make bench` first.")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def show(console: Console, taken: Taken) -> None:
    for title, headings, rows in tables(taken).values():
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
        for place, heading in enumerate(headings):
            justify = "right" if place else "left"
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for first, *rest in rows:
            table.add_row(Text(first, style="bold"), *rest)
        console.print(table)


def tables(taken: Taken) -> dict[str, tuple[str, list[str], Rows]]:
    """Figure → title, headings and rows, of the figures that were taken."""
    return {key: make(taken) for key, make in TABLES.items() if key in taken}


def number(value: float | None) -> str:
    """A value with no more digits than are known."""
    if value is None:
        return UNKNOWN
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _throughput(taken: Taken) -> tuple[str, list[str], Rows]:
    rows = [
        [each["name"], *(number(each[key]) for key in RATIOS), number(each["per_s"])]
        for each in taken["throughput"]
    ]
    headings = ["", *RATIOS.values(), "per second"]
    return "Deliveries a second, durably acknowledged", headings, rows


def _added(taken: Taken) -> tuple[str, list[str], Rows]:
    ours: Taken = taken["publish_added_ms"]
    added = {"fanfare": ours, **taken["publish_added_ms_of"]}
    rows = [
        [TITLES[name], *(f"{number(each[count])} ms" for count in ours)]
        for name, each in added.items()
    ]
    title = f"Added to an order of {number(taken['order_ms'])} ms, p50"
    return title, ["", *(f"{count} subscribers" for count in ours)], rows


def _clients(taken: Taken) -> tuple[str, list[str], Rows]:
    figure: Taken = taken["publish_throughput"]
    rows = [
        ["the order alone", "1.00", number(figure["without_per_s"])],
        ["and Fanfare", number(figure["ratio_with_to_without"])]
        + [number(figure["with_per_s"])],
        ["and one INSERT by hand", number(figure["ratio_insert_to_without"])]
        + [number(figure["insert_per_s"])],
        ["and naive Django + Celery", number(figure["ratio_naive_to_without"])]
        + [number(figure["naive_per_s"])],
    ]
    return f"Orders of {figure['clients']} clients", ["", "ratio", "per second"], rows


def _latency(taken: Taken) -> tuple[str, list[str], Rows]:
    rows = [
        [TITLES[each["name"]], each["at"]]
        + [number(each[f"{key}_ratio_to_bare_celery"]) for key in ("p50", "p99")]
        + [number(each["events_per_s"])]
        + [f"{number(each[key])} ms" for key in ("p50", "p99")]
        + [f"{number(each['p50_earlier_half'])} → {number(each['p50_later_half'])} ms"]
        for each in taken["latency_ms"]
    ]
    ratios = ["p50 ÷ bare", "p99 ÷ bare"]
    headings = ["", "pace", *ratios, "events/s", "p50", "p99", "p50 by halves"]
    return "From publishing to the start of the handler", headings, rows


def _costs(taken: Taken) -> tuple[str, list[str], Rows]:
    cpu: Taken = taken["cpu_s_per_10k"]
    rows = [
        [TITLES[name], *(number(each.get(kind)) for kind in KINDS)]
        + [number(sum(value or 0 for value in each.values()))]
        for name, each in cpu.items()
    ]
    title = f"CPU seconds for 10,000 deliveries ({taken['costs_measured_in']})"
    return title, ["", *KINDS, "together"], rows


def _memory(taken: Taken) -> tuple[str, list[str], Rows]:
    rows = [
        [TITLES[name], *(number(each.get(kind)) for kind in KINDS)]
        for name, each in taken["rss_mib"].items()
    ]
    return "Memory of the largest of each, MiB", ["", *KINDS], rows


def _growth(taken: Taken) -> tuple[str, list[str], Rows]:
    rows = [
        [f"{each['deliveries']:,}, {each['due']:,} due", number(each["ratio_to_empty"])]
        + [number(each["per_s"])]
        + [f"{number(each[key])} ms" for key in ("status_ms", "empty_status_ms")]
        for each in taken["growth"]
    ]
    headings = ["", "÷ empty", "per second", "`manage.py status`", "empty"]
    return "Deliveries in the table", headings, rows


def _scaling(taken: Taken) -> tuple[str, list[str], Rows]:
    rows = [
        [f"{each['workers']} workers, {each['dispatchers']} dispatchers"]
        + [number(each["ratio_to_one"]), number(each["per_s"])]
        for each in taken["scaling"]
    ]
    return "More workers and dispatchers", ["", "÷ one each", "per second"], rows


def _isolation(taken: Taken) -> tuple[str, list[str], Rows]:
    figure: Taken = taken["isolation"]
    row = ["with ÷ without one that hangs", number(figure["ratio_with_to_without"])]
    row += [f"{number(figure[key])} ms" for key in ("p99_ms_with", "p99_ms_without")]
    return "p99 of nine healthy subscribers", ["", "ratio", "with", "without"], [row]


def _outage(taken: Taken) -> tuple[str, list[str], Rows]:
    figure: Taken = taken["outage"]
    lines = {"p50_ms": "p50, ms", "p99_ms": "p99, ms", "per_s": "deliveries a second"}
    rows = [
        [title, *(number(figure[f"{key}_{part}"]) for part in PARTS)]
        for key, title in lines.items()
    ]
    title = (
        f"Five handlers beside an endpoint that missed {figure['events']:,} events: "
        f"it owns {number(figure['rows'])} rows, {number(figure['mib'])} MiB"
    )
    return title, ["", "with ÷ without", "with", "without"], rows


def _catching_up(taken: Taken) -> tuple[str, list[str], Rows]:
    figure: Taken = taken["catching_up"]
    rows = [
        [LATE[kind], number(per_s), number(figure["events"] / per_s)]
        for kind, per_s in figure["per_s"].items()
    ]
    title = f"A new subscriber gets all of {figure['events']:,} events of history"
    return title, ["", "events a second", "seconds"], rows


def _webhooks(taken: Taken) -> tuple[str, list[str], Rows]:
    figure: Taken = taken["webhooks"]
    base = figure["threads_requests_per_s"]
    rows = [
        [line.format(figure["in_flight_limit"][name])]
        + [number(ratio(figure[key], base)), number(figure[key])]
        + [
            number(figure["cpu_s_per_10k"][name][kind])
            for kind in ("worker", "database")
        ]
        for name, (line, key) in WEBHOOKS.items()
    ]
    title = "Webhooks a second of one worker process, durably acknowledged"
    headings = ["", "÷ requests", "per second", "worker CPU s/10k", "database"]
    return title, headings, rows


def _foreign(taken: Taken) -> tuple[str, list[str], Rows]:
    rows = [
        [FOREIGN[each["name"]], number(each["out_per_s"]), number(each["in_per_s"])]
        for each in taken["foreign"]
    ]
    title = "Events a second to and from a router of others, confirmed"
    return title, ["", "out", "in"], rows


def _sizing(taken: Taken) -> tuple[str, list[str], Rows]:
    figure: Taken = taken["sizing"]
    rows = [
        [f"{each['events_per_s']:g} events/s"]
        + [number(each["cores"].get(kind)) for kind in KINDS[1:]]
        + [number(sum(each["cores"].values()))]
        + [number(each["events_per_s"] * DAY * figure["bytes_per_event"] / 1024**3)]
        for each in figure["paces"]
    ]
    title = f"Cores for a dispatcher and {figure['workers']} workers, five subscribers"
    return title, ["", *KINDS[1:], "together", "GiB a day"], rows


def _idle(taken: Taken) -> tuple[str, list[str], Rows]:
    rows = [
        [
            f"{each['events']:,} events, "
            f"{each['deleted_subscribers']} deleted subscribers"
        ]
        + [_percent(each[kind]) for kind in ("dispatcher", "database")]
        for each in taken["idle"]
    ]
    title = "A dispatcher without work, share of a core"
    return title, ["", "dispatcher", "database"], rows


def _uninterested(taken: Taken) -> tuple[str, list[str], Rows]:
    figures: list[Taken] = taken["uninterested"]
    kinds = KINDS[1:]
    together = [sum(each[kind] or 0 for kind in kinds) for each in figures]
    rows = [
        [f"{each['uninterested']} others", number(ratio(whole, together[0]))]
        + [number(each[kind]) for kind in kinds]
        + [number(whole)]
        for each, whole in zip(figures, together, strict=True)
    ]
    title = "An event for five subscribers, ms of processor time, beside uninterested"
    return title, ["", "÷ none", *kinds, "together"], rows


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{number(share * 100)} %"


TABLES = {
    "throughput": _throughput,
    "publish_added_ms": _added,
    "publish_throughput": _clients,
    "latency_ms": _latency,
    "cpu_s_per_10k": _costs,
    "rss_mib": _memory,
    "growth": _growth,
    "scaling": _scaling,
    "isolation": _isolation,
    "outage": _outage,
    "catching_up": _catching_up,
    "webhooks": _webhooks,
    "foreign": _foreign,
    "sizing": _sizing,
    "idle": _idle,
    "uninterested": _uninterested,
}
