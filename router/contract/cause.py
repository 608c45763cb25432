"""Why a delivery failed, as a text that failures of one cause have in common."""

from __future__ import annotations

import re

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


def cause_text(error: str, traceback: str, *, status: int | None, answer: str) -> str:
    """The error without its numbers, ids and quoted values, and where it was raised; of
    an HTTP answer the status and its first line."""
    if status is not None:
        return f"HTTP {status}\n{_without_values(_first_line(answer))}"
    return f"{_without_values(_first_line(error))}\n{_place(traceback)}"


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
