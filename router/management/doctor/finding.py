from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Level(Enum):
    OK = auto()
    #: The router works; an operator should look at this.
    WARNING = auto()
    #: A part of the router does not work, or may lose what it was given.
    FAULT = auto()


@dataclass(frozen=True)
class Finding:
    """One part that was examined: its state, and a hint how to fix it."""

    title: str
    level: Level
    detail: str
    hint: str = ""


def judged(title: str, is_ok: bool, detail: str, *, hint: str) -> Finding:
    """OK, or a fault and how to fix it."""
    level = Level.OK if is_ok else Level.FAULT
    return Finding(title, level, detail, "" if is_ok else hint)
