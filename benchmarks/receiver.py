"""Receives webhooks: answers each after `ANSWER_MS`, and counts them.

`python -m benchmarks.receiver FILE` writes its port to the file once it listens;
GET tells how many came, and when the first did.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from pathlib import Path

from aiohttp import web

ANSWER_MS = 50
#: Connections that may wait: a sender opens hundreds at once.
WAITING = 1024


class Count:
    def __init__(self) -> None:
        self._posts = 0
        self._first_at = 0.0

    async def receive(self, request: web.Request) -> web.Response:
        await request.read()
        self._first_at = self._first_at or time.time()
        self._posts += 1
        await asyncio.sleep(ANSWER_MS / 1000)
        return web.Response()

    async def tell(self, _: web.Request) -> web.Response:
        return web.json_response({"posts": self._posts, "first_at": self._first_at})


def main(port_file: Path) -> None:
    count = Count()
    application = web.Application()
    application.router.add_post("/", count.receive)
    application.router.add_get("/", count.tell)
    listener = socket.create_server(("127.0.0.1", 0), backlog=WAITING)
    unseen = port_file.with_suffix(".writing")
    unseen.write_text(str(listener.getsockname()[1]))
    unseen.rename(port_file)
    web.run_app(
        application, sock=listener, backlog=WAITING, access_log=None, print=None
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
