from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class Server:
    """A process in a session of its own; it writes its output to a file."""

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
        self._name = Path(argv[0]).name

    @property
    def pid(self) -> int:
        return self._popen.pid

    def wait(self, seconds: float) -> int:
        """Its exit code, once it ended by itself."""
        return self._popen.wait(seconds)

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    def check_runs(self) -> None:
        if self.exit_code() is not None:
            raise AssertionError(f"{self._name} ended:\n{self.last_output()}")

    def last_output(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the main process alone."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def send_all(self, number: signal.Signals) -> None:
        """Send a signal to every process of the session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(
        self, number: signal.Signals = signal.SIGTERM, seconds: float = 10
    ) -> None:
        """Ask it to stop; kill it and all it started when it does not."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it and all it started, also what it left behind when it ended."""
        self.send_all(signal.SIGKILL)
        self._popen.wait()
