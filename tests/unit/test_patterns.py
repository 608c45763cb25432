"""Containment of patterns agrees with what the patterns match, value by value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.contract.filters import (
    are_covered,
    intersection,
    is_covered,
    matches_any,
)

# Few characters, so that patterns and values meet often; `*` and `.` mean something.
TEXT = st.text("aä.*", max_size=4)
PATTERNS = st.lists(TEXT, max_size=3)


@given(TEXT, PATTERNS, TEXT)
def test_a_covered_pattern_matches_nothing_beyond(
    pattern: str, wider: list[str], value: str
) -> None:
    if is_covered(pattern, wider) and matches_any([pattern], value):
        assert matches_any(wider, value)


@given(TEXT, PATTERNS)
def test_a_pattern_that_is_not_covered_matches_a_value_beyond(
    pattern: str, wider: list[str]
) -> None:
    if not is_covered(pattern, wider):
        # `z` stands in none of the other patterns.
        value = f"{pattern[:-1]}z" if pattern.endswith("*") else pattern
        assert matches_any([pattern], value)
        assert not matches_any(wider, value)


@given(PATTERNS, PATTERNS, TEXT)
def test_an_intersection_matches_what_both_match(
    first: list[str], second: list[str], value: str
) -> None:
    both = matches_any(first, value) and matches_any(second, value)
    assert matches_any(intersection(first, second), value) == both


@pytest.mark.parametrize(
    ("inner", "outer", "is_within"),
    [
        (["parcel.*"], ["*"], True),
        (["*"], ["parcel.*"], False),
        (["a.b.*"], ["a.*"], True),
        (["a.*"], ["a.b.*"], False),
        (["a.b"], ["a.*"], True),
        (["a"], ["a.*"], False),  # The dot belongs to the pattern.
        (["a.*"], ["a.b", "a.c"], False),  # Not by any number of single types.
        (["a.b", "c.d"], ["a.*", "c.*"], True),
        (["a.b", "c.d"], ["a.*"], False),
        (["ä.*"], ["a.*"], False),
        (["A.b"], ["a.*"], False),
        (["*"], [], False),
        ([], [], True),
        (["a*b"], ["a*"], True),  # A * before the end is a character.
        (["axb"], ["a*b"], False),
    ],
)
def test_patterns_lie_within_others(
    inner: list[str], outer: list[str], is_within: bool
) -> None:
    assert are_covered(inner, outer) is is_within
