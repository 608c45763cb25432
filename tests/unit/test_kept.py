"""What a process remembers of texts that come again with each event."""

from __future__ import annotations

import sys

from router.contract.attributes import FORBIDDEN
from router.contract.kept import MAX_LENGTH, kept


def test_an_answer_is_remembered_of_short_texts_alone() -> None:
    asked = []

    @kept
    def size(text: str) -> int:
        asked.append(text)
        return len(text)

    longest, longer = "x" * MAX_LENGTH, "x" * (MAX_LENGTH + 1)
    sizes = [size(text) for text in (longest, longest, longer, longer)]

    assert sizes == [255, 255, 256, 256]
    assert asked == [longest, longer, longer]


def test_nothing_printable_is_forbidden_in_an_attribute() -> None:
    every = map(chr, range(sys.maxunicode + 1))

    assert not [sign for sign in every if sign.isprintable() and FORBIDDEN.match(sign)]
