"""Whether broker and site are ready, and which programs give no sign of life."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import redis
from django.conf import settings
from django.db import Error, connection

from config.supervisor.output import print_line
from config.supervisor.processes import Process, Role
from router.flow.heartbeats import heartbeat_name
from router.models import Heartbeat

TIMEOUT_SECONDS = 2
#: So often the watchdog looks; after a longer gap it judges no program.
LOOK_SECONDS = 2.0
MAX_GAP_SECONDS = 10.0
WEB_SIGN = "web"


class Site:
    """The running site, asked over HTTP."""

    def __init__(self, address: str, port: int) -> None:
        self.listen_address = address
        self._address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # nosec B104  # not bound: replaced
        self.port = port
        host = f"[{self._address}]" if ":" in self._address else self._address
        self.url = f"http://{host}:{port}"

    def lives(self) -> bool:
        return self._get("/healthz")[0] == 200

    def is_ready(self) -> bool:
        return self._get("/readyz")[0] == 200

    def missing(self) -> str:
        """The checks of readiness, with those that fail."""
        status, body = self._get("/readyz")
        if status is None:
            return "the web process does not answer"
        return body if status in (200, 503) else f"/readyz answers {status}"

    def _get(self, path: str) -> tuple[int | None, str]:
        connection = http.client.HTTPConnection(
            self._address, self.port, timeout=TIMEOUT_SECONDS
        )
        try:
            connection.request("GET", path, headers={"Host": self._host_header()})
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return None, ""
        finally:
            connection.close()

    def _host_header(self) -> str:
        known = next((name for name in settings.ALLOWED_HOSTS if name != "*"), "")
        return known.lstrip(".") or f"{self._address}:{self.port}"


def valkey_answers(socket: Path) -> bool:
    with redis.Redis(unix_socket_path=str(socket), socket_timeout=1) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


class Watchdog:
    """Kills programs that run and do nothing: stopped, hung, or waiting for ever.

    On SQLite one stopped process that holds the write lock holds up all others. The
    watchdog looks from a thread of its own, since the database may hang, too.
    """

    def __init__(self, site: Site, processes: Iterable[Process]) -> None:
        self._site = site
        self._processes = processes
        self._beats: dict[str, datetime] = {}
        self._is_over = threading.Event()
        for process in processes:
            # All are ready; the first look comes later.
            process.sign_at = time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def end(self) -> None:
        self._is_over.set()

    def _run(self) -> None:
        looked_at = time.monotonic()
        while not self._is_over.wait(LOOK_SECONDS):
            signs = self._signs_of_life()
            now = time.monotonic()
            # After a gap the watchdog may have missed signs.
            has_gap = now - looked_at > MAX_GAP_SECONDS
            looked_at = now
            for process in self._processes:
                if signs is None or has_gap:
                    process.sign_at = max(process.sign_at, now)
                else:
                    self._judge(process, _sign(process) in signs, now)

    def _judge(self, process: Process, has_sign: bool, now: float) -> None:
        if has_sign:
            process.sign_at = now
        elif process.is_silent and not self._is_over.is_set():
            name = process.program.name
            print_line("up", f"{name} gives no sign of life; it is killed")
            process.kill()

    def _signs_of_life(self) -> set[str] | None:
        """The signs since the last look; None where the database does not answer."""
        try:
            beats = dict(Heartbeat.objects.values_list("name", "beat_at"))
        except Error:
            return None
        finally:
            connection.close()
        signs = {name for name, at in beats.items() if at != self._beats.get(name)}
        self._beats = beats
        return signs | {WEB_SIGN} if self._site.lives() else signs


def _sign(process: Process) -> str:
    """The web process answers, the others write a heartbeat of this name."""
    role = process.program.role
    if role is Role.WEB:
        return WEB_SIGN
    return heartbeat_name(role.name.lower(), process.pid)
