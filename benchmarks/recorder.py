"""What a worker records: that it is ready, what it has done, and how late.

A thread writes it every few milliseconds, so that the work itself pays next to
nothing. It knows no Django: plain Celery and the peers use it as well.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

FLUSH_SECONDS = 0.02


class Recorder:
    """The record of a process; a fork begins its own."""

    def __init__(self) -> None:
        self._pid = 0
        self._count = 0
        self._waits: list[str] = []
        self._is_timed = os.environ.get("BENCH_IS_TIMED") == "1"
        self._folder = Path(os.environ.get("BENCH_DIR", "."))

    def ready(self, **_: Any) -> None:
        """The worker takes work from now on; a handler of Celery's `worker_ready`."""
        path = self._folder / f"ready-{os.getpid()}"
        path.write_text(str(time.time()))

    def note(self, subscriber: int, at_ns: int) -> None:
        """A handler starts; its event was published at `at_ns` of the host's clock."""
        if self._pid != os.getpid():
            self._begin()
        self._count += 1
        if self._is_timed:
            waited = time.time_ns() - at_ns
            self._waits.append(f"{subscriber} {at_ns} {waited}\n")

    def _begin(self) -> None:
        self._pid, self._count, self._waits = os.getpid(), 0, []
        threading.Thread(target=self._flush_for_ever, daemon=True).start()

    def _flush_for_ever(self) -> None:
        written = 0
        done = (self._folder / f"done-{self._pid}").open("a", buffering=1)
        waits = (self._folder / f"waits-{self._pid}").open("a", buffering=1)
        with done, waits:
            while True:
                time.sleep(FLUSH_SECONDS)
                if self._count != written:
                    written = self._count
                    done.write(f"{time.time()} {written}\n")
                    mine, self._waits = self._waits, []
                    waits.writelines(mine)
                    waits.flush()


recorder = Recorder()
