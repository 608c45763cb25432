"""The rules of cursors find what is planted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.cursors import CursorState, broken_rules

#: 3 was set aside, 5 is of another type, 9 is not served yet.
CLEAN = CursorState(
    name="picky",
    start=0,
    position=8,
    wanted=[1, 2, 3, 4, 6, 7, 8, 9],
    rows=[3],
    acknowledgements=[(1, 2, 2), (4, 6, 2), (7, 8, 2)],
)


def test_a_clean_cursor_breaks_no_rule() -> None:
    assert broken_rules([CLEAN]) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"acknowledgements": CLEAN.acknowledgements[1:]}, "1 has no delivery"),
        ({"rows": []}, "3 has no delivery and is acknowledged 0 times"),
        (
            {"acknowledgements": [*CLEAN.acknowledgements, (8, 8, 1)]},
            "8 has no delivery and is acknowledged 2 times",
        ),
        (
            {"acknowledgements": [*CLEAN.acknowledgements, (9, 9, 1)]},
            "9 is acknowledged, above the cursor at 8",
        ),
        (
            {"acknowledgements": [(1, 2, 3), *CLEAN.acknowledgements[1:]]},
            "1 to 2 says 3 and covers 2",
        ),
        ({"is_leased": True}, "its lease is still held"),
    ],
)
def test_a_broken_rule_is_told(changes: dict[str, object], told: str) -> None:
    found = broken_rules([replace(CLEAN, **changes)])  # type: ignore[arg-type]  # of any field
    assert any(line.startswith(f"picky: {told}") for line in found), found
