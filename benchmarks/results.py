"""Reads what workers and publishers recorded in the folder of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Wait:
    """From an event's publishing to the start of a handler."""

    subscriber: int
    published_ns: int
    ms: float


def ready_times(folder: Path) -> list[float]:
    """When each worker was ready, in seconds since the epoch."""
    return [
        float(text)
        for path in folder.glob("ready-*")
        if (text := path.read_text().strip())
    ]


def waits(folder: Path) -> list[Wait]:
    """In the order of publishing."""
    recorded = [
        Wait(subscriber=subscriber, published_ns=at_ns, ms=waited_ns / 1e6)
        for subscriber, at_ns, waited_ns in _numbers(folder.glob("waits-*"))
    ]
    return sorted(recorded, key=lambda wait: wait.published_ns)


def _numbers(paths: Iterable[Path]) -> Iterator[tuple[int, int, int]]:
    for path in paths:
        for line in path.read_text().splitlines():
            subscriber, at_ns, waited_ns = line.split()
            yield int(subscriber), int(at_ns), int(waited_ns)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What was done after a moment; times in seconds since the epoch."""

    count: int
    first_at: float
    last_at: float


def counted(folder: Path, since: float) -> Finished:
    """From the workers' own count, where no database remembers what is done."""
    count, firsts, lasts = 0, [], []
    for path in folder.glob("done-*"):
        before, after = _split(path, since)
        if after:
            count += after[-1][1] - before
            firsts.append(after[0][0])
            lasts.append(after[-1][0])
    return Finished(
        count=count, first_at=min(firsts, default=0), last_at=max(lasts, default=0)
    )


def _split(path: Path, since: float) -> tuple[int, list[tuple[float, int]]]:
    before, after = 0, []
    # A line that is being written has no end yet.
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            at, _, count = line.partition(" ")
            if float(at) <= since:
                before = int(count)
            else:
                after.append((float(at), int(count)))
    return before, after


def publisher_results(folder: Path) -> list[dict[str, Any]]:
    """What each publisher wrote at its end."""
    paths = sorted(folder.glob("result-*.json"))
    return [json.loads(path.read_text()) for path in paths]
