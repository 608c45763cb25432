"""What handlers can do with an event that is poison for them."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from typing import NoReturn

import psutil

MIB = 1024 * 1024
#: The most that a hoarder may take beyond what its process has: a moment's work.
MAX_MIB = 64

Poison = Callable[[], None]


class Unpicklable(Exception):
    def __reduce__(self) -> NoReturn:
        raise TypeError("can't be pickled")


def kill_oneself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hoard() -> None:
    """Until the system refuses, to the last kilobyte."""
    most = psutil.Process().memory_info().vms + MAX_MIB * MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    hoarded: list[bytearray] = []
    try:
        while True:
            hoarded.append(bytearray(MIB))
    except MemoryError:
        while True:
            hoarded.append(bytearray(1024))


def hoard_and_be_killed() -> None:
    """As the kernel does it: in the midst, without a word."""
    # A hoarder that ran here before has left its limit.
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    hoarded = []
    while len(hoarded) < MAX_MIB:
        hoarded.append(b"x" * MIB)
    kill_oneself()


def loop() -> None:
    while True:
        pass


def loop_on_errors() -> None:
    """As code does that tries again whatever happened."""
    while True:
        try:
            loop()
        except Exception:  # noqa: BLE001 - that is the poison
            continue


def loop_on_everything() -> None:
    """Deaf to all but SIGKILL."""
    while True:
        try:
            loop()
        except BaseException:  # noqa: BLE001 - that is the poison
            continue


def leave() -> None:
    raise SystemExit(1)


def raise_unpicklable() -> None:
    raise Unpicklable


def raise_megabytes() -> None:
    raise ValueError("x" * 5 * MIB)


#: Name of the subscriber → what it does with the poison, and the class of the error
#: that its failed task tells.
POISONS: dict[str, tuple[Poison, str]] = {
    "killed": (kill_oneself, "WorkerVanished"),
    "hoarder": (hoard, "MemoryError"),
    "hoarder_killed": (hoard_and_be_killed, "WorkerVanished"),
    "looping": (loop, "TimeLimitExceeded"),
    "stubborn": (loop_on_errors, "TimeLimitExceeded"),
    "deaf": (loop_on_everything, "WorkerVanished"),
    "leaving": (leave, "SystemExit"),
    "unpicklable": (raise_unpicklable, "Unpicklable"),
    "verbose": (raise_megabytes, "ValueError"),
}
