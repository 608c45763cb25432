"""How the commands write: colours on a terminal, plain text elsewhere."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from rich.console import Console
from rich.text import Text

#: A screen of the commands fits this, whatever the terminal's own width.
WIDTH = 80


def console(out: Any, *, is_plain: bool = False) -> Console:
    """A console on a command's `stdout` or `stderr`.

    Plain when `is_plain`, when NO_COLOR is set (no-color.org), or where `out` is no
    terminal.
    """
    # Django's wrapper would end every piece in a new line of its own.
    out.ending = ""
    is_coloured = not is_plain and not os.environ.get("NO_COLOR") and out.isatty()
    made = Console(
        file=out, color_system="auto" if is_coloured else None, highlight=False
    )
    made.width = min(made.width, WIDTH)
    return made


def operator(options: Mapping[str, Any]) -> dict[str, Any]:
    """Who runs a command, and why: what the flow's functions keep in the audit."""
    try:
        account = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        account = f"uid {os.getuid()}"
    return {"by": f"command {account}", "reason": options.get("reason") or ""}


def add_reason(parser: CommandParser) -> None:
    """The option of every command that changes something."""
    parser.add_argument("--reason", default="", help="why; kept in the audit")


def mark(is_ok: bool) -> Text:
    return Text("✓", style="green") if is_ok else Text("✗", style="bold red")


def age(seconds: float) -> str:
    """`0.4 s`, `12 s`, `4 min`, `3 h`, `2 d`: a number and its unit."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    for longest, length, unit in (
        (120, 1, "s"),
        (7_200, 60, "min"),
        (172_800, 3_600, "h"),
    ):
        if seconds < longest:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"
