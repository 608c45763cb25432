from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Server:
    """A server's process, in its own session, its words in a file."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        user: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user,
                env=env,
                cwd=cwd,
            )
        self.log = log

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait(self, seconds: float) -> int:
        """Its exit code, once it ended by itself."""
        return self._popen.wait(seconds)

    def check_runs(self) -> None:
        if self._popen.poll() is not None:
            raise AssertionError(f"The server ended:\n{self.log.read_text()[-2000:]}")

    def stop(
        self, number: signal.Signals = signal.SIGTERM, seconds: float = 10
    ) -> None:
        """Ask it to stop; kill it and all it started when it does not."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()

    def kill(self) -> None:
        self.stop(signal.SIGKILL)
