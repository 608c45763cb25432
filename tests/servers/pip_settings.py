"""This machine's settings of pip, for a pip that runs in the build of an image."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path


def pip_settings() -> tuple[str, list[Path]]:
    """As the text of a `pip.conf`, and what it names of this machine's files."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    sections: dict[str, dict[str, str]] = defaultdict(dict)
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.replace(":env:", "global").partition(".")
        sections[section][option] = ast.literal_eval(value)
    return _text(sections), sorted(_paths(sections))


def _text(sections: dict[str, dict[str, str]]) -> str:
    lines: list[str] = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        lines += [
            f"{option} = {' '.join(value.split())}" for option, value in options.items()
        ]
    return "\n".join(lines) + "\n"


def _paths(sections: dict[str, dict[str, str]]) -> set[Path]:
    words = [
        word
        for options in sections.values()
        for value in options.values()
        for word in value.split()
    ]
    # The pages of an index on this disk lead to files beside it.
    indexes = {Path(w.removeprefix("file://")).parent for w in words if "file://" in w}
    files = {Path(word) for word in words if word.startswith("/")}
    return {path for path in indexes | files if path.exists()}
