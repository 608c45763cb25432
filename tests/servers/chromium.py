"""Where Chromium is; as root on Debian it is installed when it is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.servers.debian import install
from tests.servers.unavailable import Unavailable

NAMES = ("chromium", "chromium-browser", "google-chrome")
ON_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def chromium() -> str:
    """The browser's program. Raises `Unavailable`."""
    program = _find()
    if program is None:
        install("chromium")
        program = _find()
    if program is None:
        raise Unavailable("there is no chromium on the PATH (set CHROMIUM to its path)")
    return program


def _find() -> str | None:
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    on_macos = str(ON_MACOS) if ON_MACOS.exists() else None
    return os.environ.get("CHROMIUM") or on_path or on_macos
