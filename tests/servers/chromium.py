"""Where Chromium is; as root on Debian it is installed when it is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.servers.debian import install
from tests.servers.unavailable import Unavailable

#: The shell without a window first: it takes half the processor time of the browser.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
#: Of Debian; releases before 13 have the first in their updates alone.
PACKAGES = ("chromium-headless-shell", "chromium")
ON_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def chromium() -> str:
    """The browser's program. Raises `Unavailable`."""
    for package in PACKAGES:
        if (program := _find()) is not None:
            return program
        install(package)
    program = _find()
    if program is None:
        raise Unavailable("there is no chromium on the PATH (set CHROMIUM to its path)")
    return program


def _find() -> str | None:
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    on_macos = str(ON_MACOS) if ON_MACOS.exists() else None
    return os.environ.get("CHROMIUM") or on_path or on_macos
