from __future__ import annotations

import socket
import time
from collections.abc import Callable

#: It ends what hangs: the machine may be busy with something else.
PATIENCE_SECONDS = 120
PAUSE_SECONDS = 0.02


def wait_until(
    condition: Callable[[], object], seconds: float = PATIENCE_SECONDS
) -> None:
    """Return as soon as `condition` holds; fail when it does not in so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"Still not so after {seconds} s: {condition}")
        time.sleep(PAUSE_SECONDS)


def free_port() -> int:
    """A port of 127.0.0.1 where nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
