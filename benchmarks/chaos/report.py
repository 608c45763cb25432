"""The table on the terminal, and the file beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = dict[str, Any]

#: Key → its heading.
COLUMNS = {
    "events": "events",
    "faults": "faults",
    "effects": "effects",
    "lost": "lost",
    "doubled": "doubled",
    "ghost": "ghost",
    "stuck": "stuck",
    "failed_tasks": "failed tasks",
    "recovered": "recovered",
    "longest_stall_s": "longest stall",
    "checkout_p99_ms": "checkout p99",
    "checkout_max_ms": "max",
}
MUST_BE_NONE = ("lost", "doubled", "ghost", "stuck")
UNITS = {
    "longest_stall_s": " s",
    "checkout_p99_ms": " ms",
    "checkout_max_ms": " ms",
}


def show(console: Console, cells: Sequence[Row], naive: Sequence[Row]) -> None:
    table = Table(title="Chaos", title_justify="left", header_style="bold")
    table.add_column("cell", overflow="fold")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for row in cells:
        table.add_row(_name(row["name"]), *_values(row))
    if naive:
        table.add_section()
    for row in naive:
        table.add_row(_name(f"plain Celery: {row['name']}"), *_values(row))
    console.print(table)


def save(path: Path, *, seed: int, cells: Sequence[Row], naive: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"seed": seed, "cells": cells, "naive": naive}
    path.write_text(json.dumps(told, indent=2) + "\n")


def _name(name: str) -> Text:
    return Text(name, style="bold")


def _values(row: Row) -> list[Text]:
    return [_value(row, key) for key in COLUMNS]


def _value(row: Row, key: str) -> Text:
    value = row[key]
    if key == "failed_tasks":
        expected = row["failed_tasks_expected"]
        style = "green" if value == expected else "bold red"
        return Text(f"{value} of {expected}", style=style)
    if key in MUST_BE_NONE:
        return Text(str(value), style="bold red" if value else "green")
    return Text(f"{value:,}{UNITS.get(key, '')}")
