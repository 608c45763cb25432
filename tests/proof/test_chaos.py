"""`make chaos ARGS="--quick"`: one cell under every kind of fault, in short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from config.env import BASE_DIR

SECONDS = 480
KEYS = {
    "name",
    "events",
    "deliveries",
    "faults",
    "effects",
    "arrived",
    "sent",
    "lost",
    "doubled",
    "ghost",
    "stuck",
    "failed_tasks",
    "failed_tasks_expected",
    "longest_stall_s",
    "checkout_p99_ms",
    "checkout_max_ms",
}
MIN_EVENTS = 100
MIN_FAULTS = 19
#: Events that another shop sent in.
MIN_SENT = 30
#: Checkouts go on while the broker is dead or frozen: far below its 3 s.
MAX_CHECKOUT_MS = 1500


def quick_chaos(var_dir: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--quick", "--seed", "7"],
        cwd=BASE_DIR,
        env={**os.environ, "VAR_DIR": str(var_dir), "PYTHONDEVMODE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.timeout(SECONDS + 10)
def test_nothing_is_lost_doubled_or_stuck_whatever_breaks(tmp_path: Path) -> None:
    done = quick_chaos(tmp_path)
    assert done.returncode == 0, done.stdout
    results: dict[str, Any] = json.loads((tmp_path / "chaos/latest.json").read_text())
    assert results["seed"] == 7
    (cell,) = results["cells"]
    (naive,) = results["naive"]
    assert set(cell) >= KEYS
    assert set(naive) >= KEYS
    assert [cell[name] for name in ("lost", "doubled", "ghost", "stuck")] == [0] * 4
    assert cell["failed_tasks"] == cell["failed_tasks_expected"]
    assert cell["events"] >= MIN_EVENTS
    assert cell["faults"] >= MIN_FAULTS
    assert cell["sent"] >= MIN_SENT
    assert cell["arrived"] >= cell["events"]
    assert cell["checkout_max_ms"] < MAX_CHECKOUT_MS
    # Plain Celery loses work under the same faults.
    assert naive["lost"] + naive["stuck"] > 0
