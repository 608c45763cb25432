"""Finds the program that runs and does nothing: stopped, hung, or waiting for ever.

On SQLite one stopped process that holds the write lock holds up all others.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime

from django.apps import apps
from django.db import Error, connection

from config.supervisor import limits
from config.supervisor.process import Process, Role
from config.supervisor.readiness import Site
from router.flow.heartbeats import heartbeat_name

ALLOWED_SECONDS = {
    Role.WEB: limits.WEB_SILENCE_SECONDS,
    Role.DISPATCHER: limits.SILENCE_SECONDS,
    Role.WORKER: limits.SILENCE_SECONDS,
}


class Silence:
    """Looks for signs of life in a thread of its own: the database may hang, too."""

    def __init__(self, site: Site, processes: Sequence[Process]) -> None:
        self._site = site
        self._processes = processes
        self._sign_at: dict[int, float] = {}
        self._beats: dict[str, datetime] = {}
        self._looked_at = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def listen(self) -> None:
        """From the moment that everything is ready."""
        for process in self._processes:
            self._note(process)
        self._thread.start()

    def end(self) -> None:
        self._is_over.set()

    def silent(self) -> list[Process]:
        """Those that gave no sign for too long; none while nobody can look."""
        now = time.monotonic()
        if now - self._looked_at > limits.LOOK_GAP_SECONDS:
            return []
        return [process for process in self._processes if self._is_silent(process, now)]

    def _is_silent(self, process: Process, now: float) -> bool:
        allowed = ALLOWED_SECONDS.get(process.program.role)
        if allowed is None or process.pid is None:
            return False
        # What was started again has as long as the first start.
        first_due = process.started_at + limits.READY_SECONDS - allowed
        return now - self._sign_at.get(process.pid, first_due) > allowed

    def _look_on(self) -> None:
        while not self._is_over.wait(limits.BEAT_LOOK_SECONDS):
            names = self._new_beats()
            lives = self._site.lives()
            gap = time.monotonic() - self._looked_at
            for process in list(self._processes):
                is_web = process.program.role is Role.WEB
                has_sign = lives if is_web else _name(process) in names
                # What nobody could see is nobody's fault.
                if has_sign or gap > limits.LOOK_GAP_SECONDS:
                    self._note(process)
            self._looked_at = time.monotonic()

    def _new_beats(self) -> set[str]:
        """Who wrote a heartbeat since the last look; all, where that can't be read."""
        heartbeats = apps.get_model("router", "Heartbeat").objects
        try:
            beats = dict(heartbeats.values_list("name", "beat_at"))
        except Error:
            return {_name(process) for process in self._processes}
        finally:
            connection.close()
        news = {name for name, at in beats.items() if at != self._beats.get(name)}
        self._beats = beats
        return news

    def _note(self, process: Process) -> None:
        if process.pid is not None:
            self._sign_at[process.pid] = time.monotonic()


def _name(process: Process) -> str:
    """The name of the process's heartbeat."""
    return heartbeat_name(process.program.role.name.lower(), process.pid)
