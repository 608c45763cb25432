"""Ends what the supervisor started when the supervisor itself was killed.

Runs as a program of its own and reads the supervisor's word from standard input:
`+123` for a session that was started, `-123` for one that ended. The end of input means
that the supervisor is gone; what is left then is asked to stop, and killed when it does
not. It knows the standard library only and works where the kernel has no such service.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE_SECONDS = 5.0


def main() -> None:
    sessions = heirless(sys.stdin)
    for session in sessions:
        with contextlib.suppress(OSError):
            os.kill(session, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(is_alive, sessions)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for session in sessions:
        with contextlib.suppress(OSError):
            os.killpg(session, signal.SIGKILL)


def heirless(lines: Iterable[str]) -> list[int]:
    """The sessions that were started and did not end, in the order of their start."""
    sessions: dict[int, None] = {}
    for line in lines:
        session = int(line[1:])
        if line.startswith("+"):
            sessions[session] = None
        else:
            sessions.pop(session, None)
    return list(sessions)


def is_alive(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
