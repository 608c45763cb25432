"""A site of its own, started to take pictures of, and gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess  # nosec B404  # it runs this project's own manage.py.
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import Request, urlopen

from config.env import BASE_DIR

PATIENCE_SECONDS = 240
LOOK_SECONDS = 0.25
READY = "Fanfare is ready"
#: An empty variable wins over what `var/local.env` says.
ELSEWHERE = (
    "DATABASE_URL",
    "BROKER_URL",
    "EMAIL_HOST",
    "SLACK_WEBHOOK_URL",
    "ALERT_MAIL_TO",
    "ENCRYPTION_KEYS",
)


class SiteError(Exception):
    """The site does not come to the state that a picture shows."""


@dataclass(frozen=True)
class Site:
    url: str
    environment: dict[str, str]

    def manage(self, *arguments: str) -> str:
        """What a management command on the site's own state prints."""
        return subprocess.run(  # nosec B603  # no shell, and no foreign input.
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def call(self, path: str, key: str, body: Any = None, **headers: str) -> Any:
        """The answer of the API; with a body it is a POST."""
        headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            **headers,
        }
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}/api/{path}", data, headers)
        with urlopen(request, timeout=30) as answer:  # nosec B310  # its own address.
            return json.load(answer)


@contextmanager
def site() -> Iterator[Site]:
    """`manage.py up` in debug on a free port, with a state of its own.

    Raises `SiteError` when it does not start.
    """
    with TemporaryDirectory(prefix="fanfare-screenshots-") as name:
        folder = Path(name)
        started = Site(f"http://127.0.0.1:{(port := _free_port())}", _own(folder, port))
        process = _up(started, folder / "up.log")
        try:
            wait_until(lambda: _is_ready(process, folder / "up.log"), "a site")
            yield started
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_SECONDS)


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Raises `SiteError` where it is not so in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise SiteError(f"Waited {PATIENCE_SECONDS} s in vain for {what}.")
        time.sleep(LOOK_SECONDS)


def _own(folder: Path, port: int) -> dict[str, str]:
    """None of this machine's choices: its made-up orders must reach nobody."""
    kept = {name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ}
    return {
        **kept,
        **dict.fromkeys(ELSEWHERE, ""),
        "DEBUG": "true",
        "VAR_DIR": str(folder / "var"),
        "PORT": str(port),
        "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }


def _up(started: Site, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(  # nosec B603  # no shell, and no foreign input.
            [sys.executable, "manage.py", "up"],
            cwd=BASE_DIR,
            env=started.environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _is_ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    text = log.read_text(errors="replace")
    if process.poll() is not None:
        raise SiteError(f"The site ended:\n{text}")
    return READY in text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
