"""A private RabbitMQ on free ports: Debian's package, or the one on the PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from kombu import Connection

from tests.servers.debian import install
from tests.servers.server import Server
from tests.servers.unavailable import Unavailable
from tests.servers.waiting import free_port, wait_until

#: Debian's own script in the PATH changes to a user of its own, with its folders.
DEBIAN_S = "/usr/lib/rabbitmq/bin/rabbitmq-server"
START_SECONDS = 240


class RabbitMQ:
    """A node that can be killed and started again, on the same port and state."""

    def __init__(self, folder: Path) -> None:
        self.binary = rabbitmq_program()
        self._folder = folder
        self.port = free_port()
        self._epmd_port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self._environment = self._own_environment()
        self.server = self.start()

    def start(self) -> Server:
        self.server = Server(
            [self.binary],
            self._folder / "out.log",
            env=self._environment,
            cwd=self._folder,
        )
        wait_until(self.answers, START_SECONDS)
        return self.server

    def answers(self) -> bool:
        self.server.check_runs()
        with suppress(OSError), Connection(self.url, connect_timeout=1) as connection:
            connection.connect()
            return True
        return False

    def knows_queue(self, name: str) -> bool:
        """Whether a node that is killed now finds this quorum queue again.

        RabbitMQ 3.10 writes their names down half a second late, and can't restart a
        queue whose name it has forgotten.
        """
        [names] = self._folder.glob("state/*/quorum/*/names.dets")
        is_old = time.time() - names.stat().st_mtime > 1
        return is_old and f"_{name}".encode() in names.read_bytes()

    def kill(self) -> None:
        self.server.kill()
        self._stop_port_mapper()

    def _stop_port_mapper(self) -> None:
        """Erlang's daemon leaves the session it was started in, and outlives it."""
        epmd = shutil.which("epmd")
        if epmd is not None:
            subprocess.run(
                [epmd, "-kill"], env=self._environment, capture_output=True, check=False
            )

    def _own_environment(self) -> dict[str, str]:
        config = self._folder / "rabbitmq.conf"
        config.write_text(
            f"listeners.tcp.local = 127.0.0.1:{self.port}\n"
            "log.file.level = warning\n"
            "disk_free_limit.absolute = 50MB\n"
        )
        plugins = self._folder / "plugins"
        plugins.write_text("[].")
        return {
            **os.environ,
            "HOME": str(self._folder),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Lets itself be stopped while it remembers a node that was killed.
            "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",
            "RABBITMQ_NODENAME": f"fanfare-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "state"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
        }


def rabbitmq_program() -> str:
    """The server's program, installed first where it is missing.

    Raises `Unavailable`.
    """
    if _find() is None:
        install("rabbitmq-server")
    program = _find()
    if program is None:
        raise Unavailable("rabbitmq-server is not here; install its Debian package")
    return program


def _find() -> str | None:
    if Path(DEBIAN_S).exists():
        return DEBIAN_S
    return shutil.which("rabbitmq-server")


@contextmanager
def rabbitmq() -> Iterator[RabbitMQ]:
    with TemporaryDirectory(
        prefix="fanfare-rabbitmq-", ignore_cleanup_errors=True
    ) as folder:
        running = RabbitMQ(Path(folder))
        try:
            yield running
        finally:
            running.kill()
