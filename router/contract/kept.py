"""Answers about texts that come again with each event, such as its type and source."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

Answer = TypeVar("Answer")

MAX_ANSWERS = 1024
#: As long as a type or a source may be. A longer text comes from outside, unchecked,
#: and a thousand of them would fill the memory.
MAX_LENGTH = 255


def kept(function: Callable[[str], Answer]) -> Callable[[str], Answer]:
    """The function, which remembers its last answers. It must have no other input."""
    remembered = lru_cache(MAX_ANSWERS)(function)

    def answer(text: str) -> Answer:
        return remembered(text) if len(text) <= MAX_LENGTH else function(text)

    return answer
