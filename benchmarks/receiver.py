"""The receiver of webhooks, in a process of its own: it counts them, and is slow.

`python -m benchmarks.receiver FILE` writes its port to the file once it listens.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from aiohttp import web

from benchmarks.processes import Process, cpu_seconds
from tests.servers.waiting import wait_until

RESPONSE_MS = 50
#: Connections that may wait: a sender opens hundreds at once.
BACKLOG = 1024
READY_SECONDS = 30.0


@dataclass(kw_only=True)
class Received:
    posts: int = 0
    #: In seconds since the epoch.
    first_at: float = 0.0

    async def receive(self, request: web.Request) -> web.Response:
        await request.read()
        self.first_at = self.first_at or time.time()
        self.posts += 1
        await asyncio.sleep(RESPONSE_MS / 1000)
        return web.Response()

    async def show(self, _: web.Request) -> web.Response:
        return web.json_response({"posts": self.posts, "first_at": self.first_at})


class Receiver:
    """Made by `receiving`; its CPU time counts from when it listens."""

    def __init__(self, process: Process, port: int) -> None:
        self._process = process
        self._cpu_before = cpu_seconds(process.pid)
        self.url = f"http://127.0.0.1:{port}/"

    def received(self) -> Received:
        with urlopen(self.url) as response:
            return Received(**json.load(response))

    def cpu(self) -> float:
        return cpu_seconds(self._process.pid) - self._cpu_before


@contextmanager
def receiving(folder: Path) -> Iterator[Receiver]:
    """A receiver that has received nothing yet."""
    port_file = folder / "receiver.port"
    port_file.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "benchmarks.receiver", str(port_file)]
    process = Process("receiver", argv, {}, folder / "receiver.log")

    def listens() -> bool:
        process.check_runs()
        return port_file.exists()

    try:
        wait_until(listens, READY_SECONDS)
        yield Receiver(process, int(port_file.read_text()))
    finally:
        process.kill()


def main(port_file: Path) -> None:
    received = Received()
    application = web.Application()
    application.router.add_post("/", received.receive)
    application.router.add_get("/", received.show)
    listener = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
    unseen = port_file.with_suffix(".writing")
    unseen.write_text(str(listener.getsockname()[1]))
    unseen.rename(port_file)
    web.run_app(
        application, sock=listener, backlog=BACKLOG, access_log=None, print=None
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
