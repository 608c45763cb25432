from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from shop.validation import validate_printable, validate_visible


@pytest.mark.parametrize(
    "text",
    [
        "Ada Horn",
        "Łódź, Ærøskøbing, 東京",
        "<script>alert(1)</script>",  # harmless as text, and shown as such
        "B♭ cornet 🎺",
    ],
)
def test_what_a_keyboard_types_is_taken(text: str) -> None:
    validate_printable(text)


@pytest.mark.parametrize(
    "text",
    [
        "Ada\x00",
        "Ada\r\nBcc: all@example.com",
        "Ada\x1b[2J",
        "Ada\x85",
        "Ada\u2028Horn",
        # Reads from right to left what follows.
        "Ada\u202efdp.exe",
        "\ud800",
    ],
)
def test_what_no_keyboard_types_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        validate_printable(text)


@pytest.mark.parametrize(
    "text", ["Ada", "\u200bAda", "नि", "👩\u200d🎤", "\u05d0\u200f"]
)
def test_what_shows_something_is_taken(text: str) -> None:
    validate_visible(text)


@pytest.mark.parametrize(
    "text",
    [
        "\u200b",  # no width
        "\u200e\u200f\u2060\ufeff",
        "\u3164",  # a letter that fills, and shows nothing
        "\u2800",  # braille without dots
        "\u0301",  # an accent on nothing
        "\u00a0\u00ad",
    ],
)
def test_what_shows_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        validate_visible(text)
