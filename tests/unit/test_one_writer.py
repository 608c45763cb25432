"""Chunks on SQLite: one at a time, and a rest behind each."""

from __future__ import annotations

import fcntl
import threading
import time
from pathlib import Path

import pytest

from router.flow.deliver import one_writer
from router.flow.deliver.one_writer import one_at_a_time

SECONDS = 10


def test_another_chunk_begins_once_the_first_one_and_its_rest_are_over(
    tmp_path: Path,
) -> None:
    lock = tmp_path / "chunk"
    begun, second_begun = threading.Event(), threading.Event()
    times: dict[str, float] = {}

    def first() -> None:
        with one_at_a_time(lock):
            times["first begins"] = time.monotonic()
            begun.set()
            # It ends at once if the second one does not wait for it.
            second_begun.wait(0.1)
            times["first ends"] = time.monotonic()

    def second() -> None:
        begun.wait(SECONDS)
        with one_at_a_time(lock):
            times["second begins"] = time.monotonic()
            second_begun.set()

    threads = [threading.Thread(target=each) for each in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)

    length = times["first ends"] - times["first begins"]
    assert times["second begins"] - times["first ends"] >= length


def test_a_frozen_chunk_holds_up_no_other_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_writer, "MAX_WAIT_SECONDS", 0.02)
    lock = tmp_path / "chunk"
    with lock.open("w") as frozen:
        fcntl.flock(frozen, fcntl.LOCK_EX)
        with one_at_a_time(lock):
            pass


def test_a_chunk_that_fails_gives_the_lock_back(tmp_path: Path) -> None:
    lock = tmp_path / "chunk"
    with pytest.raises(ValueError, match="no use"), one_at_a_time(lock):
        raise ValueError("no use")
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
