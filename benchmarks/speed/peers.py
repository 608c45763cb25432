"""The peers' own virtual environment: their pins never meet the product's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from config.env import BASE_DIR

REQUIREMENTS = BASE_DIR / "benchmarks" / "requirements.txt"


def python_of_peers(folder: Path, tell: Callable[[str], None]) -> Path:
    """Its interpreter; made or brought up to date where it is not.

    Raises `subprocess.CalledProcessError` when it can't be had.
    """
    python = folder / "bin" / "python"
    installed = folder / "installed"
    wanted = REQUIREMENTS.read_text()
    if installed.exists() and installed.read_text() == wanted and python.exists():
        return python
    tell("making a virtual environment for the peers (once, half a minute)")
    _run(sys.executable, "-m", "venv", "--clear", str(folder))
    options = ("--quiet", "--disable-pip-version-check", "--no-input")
    for line in wanted.splitlines():
        tell(f"  installing {line}")
        _run(str(python), "-m", "pip", "install", *options, line)
    installed.write_text(wanted)
    return python


def _run(*command: str) -> None:
    subprocess.run(  # noqa: S603
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
