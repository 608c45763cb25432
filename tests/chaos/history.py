"""Reads the logs of a cell: what customers were told, and what was done outside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.checker import Told


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """Times in seconds since the epoch; no end: the process died."""

    order: str
    is_cursed: bool
    began_at: float
    told: Told = Told.UNKNOWN
    ended_at: float | None = None
    took_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Done:
    """One effect."""

    order: str
    subscriber: str
    at: float
    #: Of a webhook: its `webhook-id`.
    webhook_id: str = ""


def read_checkouts(folder: Path) -> list[Checkout]:
    found: dict[str, Checkout] = {}
    for path in sorted(folder.glob("checkouts-*.jsonl")):
        for line in _lines(path):
            _note(found, line)
    return list(found.values())


def read_outside(folder: Path) -> list[Done]:
    return [
        Done(
            order=line["order"],
            subscriber=line["subscriber"],
            at=line["at"],
            webhook_id=line.get("webhook_id", ""),
        )
        for line in _lines(folder / "outside.jsonl")
    ]


def of_rows(rows: Sequence[tuple[str, str, float]]) -> list[Done]:
    return [Done(order=order, subscriber=name, at=at) for order, name, at in rows]


def _note(found: dict[str, Checkout], line: dict[str, Any]) -> None:
    order = line["order"]
    if line["what"] == "invoked":
        found[order] = Checkout(
            order=order, is_cursed=line["is_cursed"], began_at=line["at"]
        )
        return
    begun = found[order]
    found[order] = Checkout(
        order=order,
        is_cursed=begun.is_cursed,
        began_at=begun.began_at,
        told=Told(line["what"]),
        ended_at=line["at"],
        took_ms=line["ms"],
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text().splitlines():
            yield json.loads(line)
