"""The table on the terminal, and the file beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = dict[str, Any]

MUST_BE_NONE = ("lost", "doubled", "ghost", "stuck", "broken_rules")
#: Key → its heading, of the two tables.
PROMISES = {
    "lost": "lost",
    "doubled": "doubled",
    "ghost": "ghost",
    "stuck": "stuck",
    "broken_rules": "broken rules",
    "failed_tasks": "failed tasks",
}
FIGURES = {
    "events": "events",
    "effects": "effects",
    "faults": "faults",
    "longest_stall_s": "stall",
    "reposted_percent": "reposted",
    "checkout_p99_ms": "p99",
    "checkout_max_ms": "max",
}
UNITS = {
    "longest_stall_s": " s",
    "reposted_percent": " %",
    "checkout_p99_ms": " ms",
    "checkout_max_ms": " ms",
}


def show(console: Console, cells: Sequence[Row], naive: Sequence[Row]) -> None:
    """Print two tables; under each cell is plain Celery under the same faults."""
    beside = {row["name"]: row for row in naive}
    for title, columns in (("What was promised", PROMISES), ("What it cost", FIGURES)):
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
        table.add_column("", no_wrap=True)
        for heading in columns.values():
            table.add_column(heading, justify="right", no_wrap=True)
        for row in cells:
            table.add_row(Text(row["name"], style="bold"), *_values(row, columns))
            if row["name"] in beside:
                plain = _values(beside[row["name"]], columns)
                table.add_row(Text("  plain Celery", style="dim"), *plain)
        console.print(table)


def save(path: Path, *, seed: int, cells: Sequence[Row], naive: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {"seed": seed, "cells": cells, "naive": naive}
    path.write_text(json.dumps(results, indent=2) + "\n")


def _values(row: Row, columns: Iterable[str]) -> list[Text]:
    return [_value(row, key) for key in columns]


def _value(row: Row, key: str) -> Text:
    value = row[key]
    if key == "failed_tasks":
        expected = row["failed_tasks_expected"]
        style = "green" if value == expected else "bold red"
        return Text(f"{value} of {expected}", style=style)
    if key in MUST_BE_NONE:
        return Text(str(value), style="bold red" if value else "green")
    return Text(f"{value:,}{UNITS.get(key, '')}")
