"""Takes Ctrl-C away from `make`, which would end with an error of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def foreground() -> Iterator[None]:
    """Be the terminal's foreground process group, where another had it.

    GNU make that gets a Ctrl-C ends by that signal, however well its child stopped. In
    a group of its own the supervisor alone gets it. Ctrl-Z is ignored then: the shell
    would not see that the job stands still.
    """
    terminal = _terminal_of_another_group()
    if terminal is None:
        yield
        return
    before = os.getpgrp()
    os.setpgid(0, 0)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    _give(terminal, os.getpgrp())
    try:
        yield
    finally:
        _give(terminal, before)


def _terminal_of_another_group() -> int | None:
    try:
        terminal = sys.stdin.fileno()
        is_ours = os.tcgetpgrp(terminal) == os.getpgrp()
    except (OSError, ValueError):
        return None
    return terminal if is_ours and os.getpgrp() != os.getpid() else None


def _give(terminal: int, group: int) -> None:
    # A process in the background that takes the terminal is stopped, unless it blocks.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
    with contextlib.suppress(OSError):
        os.tcsetpgrp(terminal, group)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTTOU])
