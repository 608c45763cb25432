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

Found = Mapping[str, Any]
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

#: Who posts → what it is called, and the key of its rate.
WEBHOOKS = {
    "one_endpoint": ("Fanfare, one endpoint, {:,} in flight", "per_s"),
    "ten_endpoints": ("Fanfare, ten endpoints", "per_s_ten_endpoints"),
    "threads_requests": (TITLES["threads_requests"], "threads_requests_per_s"),
}


def save(path: Path, found: Found) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=2) + "\n")


def load(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise SystemExit(f"There is no {path} yet: run `make bench` first.")
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def show(console: Console, found: Found) -> None:
    for title, headings, rows in tables(found).values():
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
        for place, heading in enumerate(headings):
            justify = "right" if place else "left"
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for first, *rest in rows:
            table.add_row(Text(first, style="bold"), *rest)
        console.print(table)


def tables(found: Found) -> dict[str, tuple[str, list[str], Rows]]:
    """Figure → title, headings and rows, of those that there are figures for."""
    return {key: make(found) for key, make in TABLES.items() if key in found}


def number(value: float | None) -> str:
    """As many digits as one may believe."""
    if value is None:
        return UNKNOWN
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _throughput(found: Found) -> tuple[str, list[str], Rows]:
    rows = [
        [one["name"], *(number(one[key]) for key in RATIOS), number(one["per_s"])]
        for one in found["throughput"]
    ]
    headings = ["", *RATIOS.values(), "per second"]
    return "Deliveries a second, durably acknowledged", headings, rows


def _added(found: Found) -> tuple[str, list[str], Rows]:
    ours: Found = found["publish_added_ms"]
    everybody = {"fanfare": ours, **found["publish_added_ms_of"]}
    rows = [
        [TITLES[name], *(f"{number(told[count])} ms" for count in ours)]
        for name, told in everybody.items()
    ]
    title = f"Added to an order of {number(found['order_ms'])} ms, p50"
    return title, ["", *(f"{count} subscribers" for count in ours)], rows


def _clients(found: Found) -> tuple[str, list[str], Rows]:
    told: Found = found["publish_throughput"]
    rows = [
        ["the order alone", "1.00", number(told["without_per_s"])],
        ["and Fanfare", number(told["ratio_with_to_without"])]
        + [number(told["with_per_s"])],
        ["and one INSERT by hand", number(told["ratio_insert_to_without"])]
        + [number(told["insert_per_s"])],
        ["and naive Django + Celery", number(told["ratio_naive_to_without"])]
        + [number(told["naive_per_s"])],
    ]
    return f"Orders of {told['clients']} clients", ["", "ratio", "per second"], rows


def _latency(found: Found) -> tuple[str, list[str], Rows]:
    rows = [
        [TITLES[one["name"]], one["at"]]
        + [number(one[f"{key}_ratio_to_bare_celery"]) for key in ("p50", "p99")]
        + [number(one["events_per_s"])]
        + [f"{number(one[key])} ms" for key in ("p50", "p99")]
        + [f"{number(one['p50_earlier_half'])} → {number(one['p50_later_half'])} ms"]
        for one in found["latency_ms"]
    ]
    ratios = ["p50 ÷ bare", "p99 ÷ bare"]
    headings = ["", "pace", *ratios, "events/s", "p50", "p99", "p50 by halves"]
    return "From publishing to the start of the handler", headings, rows


def _costs(found: Found) -> tuple[str, list[str], Rows]:
    cpu: Found = found["cpu_s_per_10k"]
    rows = [
        [TITLES[name], *(number(told.get(kind)) for kind in KINDS)]
        + [number(sum(value or 0 for value in told.values()))]
        for name, told in cpu.items()
    ]
    title = f"CPU seconds for 10,000 deliveries ({found['costs_measured_in']})"
    return title, ["", *KINDS, "together"], rows


def _memory(found: Found) -> tuple[str, list[str], Rows]:
    rows = [
        [TITLES[name], *(number(told.get(kind)) for kind in KINDS)]
        for name, told in found["rss_mib"].items()
    ]
    return "Memory of the largest of each, MiB", ["", *KINDS], rows


def _growth(found: Found) -> tuple[str, list[str], Rows]:
    steps = ["due_ms", "mark_ms", "look_ms", "full_look_ms", "sweep_ms"]
    rows = [
        [f"{one['deliveries']:,}, {one['due']:,} due", number(one["ratio_to_empty"])]
        + [f"{number(one[step])} ms" for step in steps]
        + [number(one["per_s"])]
        for one in found["growth"]
    ]
    headings = ["", "÷ empty", "due", "mark", "look", "full look", "sweep"]
    return "Deliveries in the table", [*headings, "per second"], rows


def _scaling(found: Found) -> tuple[str, list[str], Rows]:
    rows = [
        [f"{one['workers']} workers, {one['dispatchers']} dispatchers"]
        + [number(one["ratio_to_one"]), number(one["per_s"])]
        for one in found["scaling"]
    ]
    return "More workers and dispatchers", ["", "÷ one each", "per second"], rows


def _isolation(found: Found) -> tuple[str, list[str], Rows]:
    told: Found = found["isolation"]
    row = ["with ÷ without one that hangs", number(told["ratio_with_to_without"])]
    row += [f"{number(told[key])} ms" for key in ("p99_ms_with", "p99_ms_without")]
    return "p99 of nine healthy subscribers", ["", "ratio", "with", "without"], [row]


def _webhooks(found: Found) -> tuple[str, list[str], Rows]:
    told: Found = found["webhooks"]
    base = told["threads_requests_per_s"]
    rows = [
        [line.format(told["in_flight_limit"][name])]
        + [number(ratio(told[key], base)), number(told[key])]
        + [number(told["cpu_s_per_10k"][name][kind]) for kind in ("worker", "database")]
        for name, (line, key) in WEBHOOKS.items()
    ]
    title = "Webhooks a second of one worker process, durably acknowledged"
    headings = ["", "÷ requests", "per second", "worker CPU s/10k", "database"]
    return title, headings, rows


def _sizing(found: Found) -> tuple[str, list[str], Rows]:
    told: Found = found["sizing"]
    rows = [
        [f"{one['events_per_s']:g} events/s"]
        + [number(one["cores"].get(kind)) for kind in KINDS[1:]]
        + [number(sum(one["cores"].values()))]
        + [number(one["events_per_s"] * DAY * told["bytes_per_event"] / 1024**3)]
        for one in told["paces"]
    ]
    title = f"Cores for a dispatcher and {told['workers']} workers, five subscribers"
    return title, ["", *KINDS[1:], "together", "GiB a day"], rows


def _idle(found: Found) -> tuple[str, list[str], Rows]:
    rows = [
        [f"{one['events']:,} events, {one['deleted_subscribers']} deleted subscribers"]
        + [_percent(one[kind]) for kind in ("dispatcher", "database")]
        for one in found["idle"]
    ]
    title = "A dispatcher without work, share of a core"
    return title, ["", "dispatcher", "database"], rows


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
    "webhooks": _webhooks,
    "sizing": _sizing,
    "idle": _idle,
}
