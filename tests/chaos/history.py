"""Reads the logs of a cell: how checkouts ended, and the effects outside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.chaos.checker import Outcome


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """Times in seconds since the epoch; no end: the process died."""

    order: str
    is_cursed: bool
    began_at: float
    outcome: Outcome = Outcome.UNKNOWN
    ended_at: float | None = None
    took_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One time that a subscriber did its work."""

    order: str
    subscriber: str
    at: float
    #: Of a webhook: its `webhook-id`.
    webhook_id: str = ""


def read_checkouts(folder: Path) -> list[Checkout]:
    return _read(folder.glob("checkouts-*.jsonl"))


def read_sent(folder: Path) -> list[Checkout]:
    """The orders of another shop; ok is one whose message its router confirmed."""
    return _read([folder / "sent.jsonl"])


def _read(paths: Iterable[Path]) -> list[Checkout]:
    checkouts: dict[str, Checkout] = {}
    for path in sorted(paths):
        for line in _lines(path):
            checkouts[line["order"]] = _checkout(line, checkouts.get(line["order"]))
    return list(checkouts.values())


def read_outside(folder: Path) -> list[Effect]:
    return [Effect(**line) for line in _lines(folder / "outside.jsonl")]


def effects_of(rows: Sequence[tuple[str, str, float]]) -> list[Effect]:
    return [Effect(order=order, subscriber=name, at=at) for order, name, at in rows]


def _checkout(line: dict[str, Any], begun: Checkout | None) -> Checkout:
    """A checkout has two lines: when it began, and how it ended."""
    if begun is None:
        return Checkout(
            order=line["order"], is_cursed=line["is_cursed"], began_at=line["at"]
        )
    outcome = Outcome(line["what"])
    return replace(begun, outcome=outcome, ended_at=line["at"], took_ms=line["ms"])


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():
        for line in path.read_text().splitlines():
            yield json.loads(line)
