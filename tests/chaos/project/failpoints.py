"""Places where a process dies, once, when a file says so."""

from __future__ import annotations

import os
import signal

from django.conf import settings


def reached(name: str) -> None:
    """Die here without a word if the file of that name is there.

    The process that removes the file is the one that dies: one process for one file.
    """
    try:
        os.unlink(settings.CHAOS_DIR / "armed" / name)
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
