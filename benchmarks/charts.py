"""The charts of the figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchmarks.contenders import FANFARE, TITLES
from benchmarks.plots import Bar, Chart, Group
from benchmarks.report import number

Taken = Mapping[str, Any]

MAIN_CELL = "redis-solo-noop-backlog"
PACES = {"quarter": "a quarter of its capacity", "half": "half of its capacity"}
LOGARITHMIC = "shorter is better; logarithmic scale"


def charts(taken: Taken) -> Iterator[tuple[str, Chart]]:
    """Figure → its chart, of the figures that were taken."""
    for key, draw in CHARTS.items():
        if taken.get(key):
            yield key, draw(taken)


def _bar(name: str, value: float | None, unit: str) -> Bar:
    return Bar(
        label=TITLES[name],
        value=value or 0.0,
        text=f"{number(value)}{unit}",
        is_ours=name == FANFARE.name,
    )


def _known(bars: Iterable[Bar]) -> list[Bar]:
    """The longest first, without contenders that did not run."""
    return sorted((bar for bar in bars if bar.value > 0), key=lambda bar: -bar.value)


def _throughput(taken: Taken) -> Chart:
    cells = {cell["name"]: cell for cell in taken["throughput"]}
    cell = cells.get(MAIN_CELL) or taken["throughput"][0]
    rates = {FANFARE.name: cell["per_s"], **cell["per_s_of"]}
    bars = [_bar(name, rate, "") for name, rate in rates.items()]
    return Chart(
        name="bench-throughput",
        title="Deliveries a second, durably acknowledged",
        remark=f"{cell['name']}; longer is better",
        groups=[Group(heading="", bars=_known(bars))],
    )


def _added(taken: Taken) -> Chart:
    ours: Taken = taken["publish_added_ms"]
    added = {FANFARE.name: ours, **taken["publish_added_ms_of"]}
    groups = [
        Group(
            heading="one subscriber" if count == "1" else f"{count} subscribers",
            bars=[_bar(name, each[count], " ms") for name, each in added.items()],
        )
        for count in ours
    ]
    return Chart(
        name="bench-publishing",
        title="What publishing adds to an order's transaction",
        remark=f"p50; {LOGARITHMIC}",
        groups=groups,
        is_log=True,
    )


def _latency(taken: Taken) -> Chart:
    paces = list(dict.fromkeys(entry["at"] for entry in taken["latency_ms"]))
    groups = [
        Group(
            heading=_pace(pace),
            bars=[
                _bar(entry["name"], entry["p99"], " ms")
                for entry in taken["latency_ms"]
                if entry["at"] == pace
            ],
        )
        for pace in paces
    ]
    return Chart(
        name="bench-latency",
        title="From publishing to the start of the handler",
        remark=f"p99; {LOGARITHMIC}",
        groups=groups,
        is_log=True,
    )


def _pace(pace: str) -> str:
    return PACES.get(pace, f"{pace[:-2]} events a second")


def _cpu(taken: Taken) -> Chart:
    spent = {
        name: sum(value or 0 for value in kinds.values())
        for name, kinds in taken["cpu_s_per_10k"].items()
    }
    bars = [_bar(name, seconds, " s") for name, seconds in spent.items()]
    return Chart(
        name="bench-cpu",
        title="CPU seconds for 10,000 deliveries",
        remark=f"all processes together, {taken['costs_measured_in']}; "
        "shorter is better",
        groups=[Group(heading="", bars=_known(bars)[::-1])],
    )


def _growth(taken: Taken) -> Chart:
    bars = [
        Bar(
            label=f"{entry['deliveries']:,}" + (", many due" if entry["due"] else ""),
            value=entry["ratio_to_empty"] or 0.0,
            text=number(entry["ratio_to_empty"]),
            is_ours=True,
        )
        for entry in taken["growth"]
    ]
    return Chart(
        name="bench-growth",
        title="Throughput with a long log ÷ with an empty one",
        remark="by deliveries in the table; 1 is as fast as empty",
        groups=[Group(heading="", bars=bars)],
    )


CHARTS = {
    "throughput": _throughput,
    "publish_added_ms": _added,
    "latency_ms": _latency,
    "cpu_s_per_10k": _cpu,
    "growth": _growth,
}
