"""Why a delivery failed, as a text that failures of one cause have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What differs between two failures of one cause, and what stands in its place. Quotes
#: come first: what they hold may look like any of the others.
VARIABLE = (
    (re.compile(r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|“[^”\n]*”|`[^`\n]*`"), "<text>"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "<address>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(r"\b(?=[a-z]*\d)(?=\d*[a-z])[0-9a-z]{6,}\b", re.I), "<id>"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "<number>"),
)
FRAME = re.compile(r'^ *File "(?:[^"]*[/\\])?([^"]+)", line \d+, in (.+)$', re.M)
#: Of a message: the rest may be a whole page.
MAX_LENGTH = 500
#: Shorter ones are in every sentence.
WORD = re.compile(r"\w{3,}")
MIN_TEXT_LENGTH = 3


def cause_text(error: str, traceback: str, *, status: int | None, answer: str) -> str:
    """The error without its numbers, ids and quoted values, and where it was raised; of
    an HTTP answer the status and its first line."""
    if status is not None:
        return f"HTTP {status}\n{_without_values(_first_line(answer))}"
    return f"{_without_values(_first_line(error))}\n{_place(traceback)}"


def shareable(failure: str, texts: Iterable[str]) -> str:
    """A failure in words, as it may be sent to people who may not see the event.

    What is before the first colon stays: the kind of error, or `HTTP 503`. The rest
    loses its numbers, ids and quoted values, and whatever is in the event's `texts`.
    """
    kind, colon, message = failure.partition(": ")
    message = _without_values(message)
    known: set[str] = set()
    for text in texts:
        if len(text) >= MIN_TEXT_LENGTH:
            message = message.replace(text, "…")
        known.update(word.casefold() for word in WORD.findall(text))
    shown = WORD.sub(
        lambda word: "…" if word[0].casefold() in known else word[0], message
    )
    return f"{kind}{colon}{shown}"


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _without_values(line: str) -> str:
    line = line[:MAX_LENGTH]
    for pattern, name in VARIABLE:
        line = pattern.sub(name, line)
    return line


def _place(traceback: str) -> str:
    """File and function of the last frame; its line moves with each release."""
    frames = FRAME.findall(traceback)
    return " ".join(frames[-1]) if frames else ""
