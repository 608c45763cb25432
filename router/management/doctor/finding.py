from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Level(Enum):
    RIGHT = auto()
    #: Worth a thought, and nothing is lost by it.
    NOTICE = auto()
    WRONG = auto()


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it is, and how to mend it."""

    title: str
    level: Level
    detail: str
    mend: str = ""


def judged(title: str, is_right: bool, detail: str, *, mend: str) -> Finding:
    """RIGHT, or WRONG and how to mend it."""
    level = Level.RIGHT if is_right else Level.WRONG
    return Finding(title, level, detail, "" if is_right else mend)
