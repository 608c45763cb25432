"""The pattern of LIKE as a regular expression that never backtracks into a wildcard.

Each `%` takes the shortest text that lets its part match, and keeps it: that finds a
match wherever there is one, and a pattern of many `%` can't take exponential time.
"""

from __future__ import annotations

import re

TOKEN = re.compile(r"\\([%_])|(.)", re.DOTALL)


def like(pattern: str) -> re.Pattern[str]:
    """The regular expression whose `fullmatch` is `LIKE pattern`."""
    parts = [""]
    for escaped, plain in TOKEN.findall(pattern):
        if plain == "%":
            parts.append("")
        else:
            parts[-1] += "." if plain == "_" else re.escape(escaped or plain)
    first, *middle = parts
    if not middle:
        return re.compile(first, re.DOTALL)
    last = middle.pop()
    atoms = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{atoms}.*{last}", re.DOTALL)
