"""One chunk at a time on SQLite, with a rest for publishers after each."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.sqlite3.base import DatabaseWrapper

from router.db import one_writer
from router.db.one_writer import others_may_write

CHUNK_SECONDS = 0.03


def sqlite(name: Path) -> Any:
    return DatabaseWrapper({"NAME": name}, alias="default")


def test_chunks_of_all_subscribers_come_one_by_one_with_rests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(one_writer, "connection", sqlite(tmp_path / "own.sqlite3"))

    def run(_: int) -> tuple[float, float]:
        with others_may_write():
            began_at = time.monotonic()
            time.sleep(CHUNK_SECONDS)
            return began_at, time.monotonic()

    with ThreadPoolExecutor(4) as threads:
        chunks = sorted(threads.map(run, range(8)))

    rests = [after[0] - before[1] for before, after in pairwise(chunks)]
    assert min(rests) >= CHUNK_SECONDS


def test_within_a_transaction_nothing_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A handler's own database has the lock already."""
    within = sqlite(tmp_path / "own.sqlite3")
    within.in_atomic_block = True

    with monkeypatch.context() as patch:
        patch.setattr(one_writer, "connection", sqlite(tmp_path / "own.sqlite3"))
        with others_may_write():
            patch.setattr(one_writer, "connection", within)
            with ThreadPoolExecutor(1) as threads:
                threads.submit(lambda: others_may_write().__enter__()).result(5)
