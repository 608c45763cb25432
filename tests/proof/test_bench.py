"""`make bench ARGS="--quick"`, with sizes that only prove that it works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from config.env import BASE_DIR

SECONDS = 400
COMMAND = [sys.executable, "-m", "benchmarks", "--quick", "--rounds", "1"]
COMMAND += ["--sizes", "tiny", "--without-peers"]
#: Each of the five, out and in, starts processes of its own.
FOREIGN_SECONDS = 300
RATIOS = {
    "ratio_to_bare_celery",
    "ratio_to_naive",
    "ratio_to_procrastinate",
    "ratio_to_pgqueuer",
    "ratio_to_pgqueuer_batch",
    "ratio_to_graphile_worker",
}
NAMES = {"fanfare", "naive", "bare_celery"}


@contextmanager
def bench(var_dir: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, *options],
        cwd=BASE_DIR,
        env={**os.environ, "VAR_DIR": str(var_dir), "PYTHONDEVMODE": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def test_the_quick_figures_are_taken_and_written(tmp_path: Path) -> None:
    with bench(tmp_path) as running:
        output, _ = running.communicate(timeout=SECONDS)
    assert running.returncode == 0, output
    figures: dict[str, Any] = json.loads((tmp_path / "bench/latest.json").read_text())
    assert figures["publish_added_ms"]["5"] is not None
    (cell,) = figures["throughput"]
    assert cell["name"] == "redis-solo-noop-backlog"
    assert cell["per_s"] > 0
    assert set(cell) >= RATIOS
    assert cell["ratio_to_bare_celery"] > 0
    assert cell["ratio_to_naive"] > 0
    timed = {entry["name"] for entry in figures["latency_ms"]}
    assert timed == NAMES | {"by_hand"}
    assert all(entry["p99"] >= entry["p50"] > 0 for entry in figures["latency_ms"])
    bare, *others = (entry for entry in figures["latency_ms"] if entry["at"] == "20/s")
    for entry in others:
        of_bare = entry["p50_ratio_to_bare_celery"] * bare["p50"]
        assert of_bare == pytest.approx(entry["p50"], rel=0.01)
    assert set(figures["cpu_s_per_10k"]) == set(figures["rss_mib"]) == NAMES
    assert {"machine", "versions", "taken_on", "rounds"} <= set(figures)
    assert "÷ naive" in output


def test_each_foreign_router_has_a_figure_out_and_in(tmp_path: Path) -> None:
    with bench(tmp_path, "--only", "foreign") as running:
        output, _ = running.communicate(timeout=FOREIGN_SECONDS)
    assert running.returncode == 0, output
    figures: dict[str, Any] = json.loads((tmp_path / "bench/latest.json").read_text())
    taken = {entry["name"]: entry for entry in figures["foreign"]}
    assert set(taken) >= {"amqp", "kafka", "pubsub"}
    for entry in taken.values():
        assert entry["out_per_s"] > 0, entry
        assert entry["in_per_s"] > 0, entry


def test_nothing_is_left_when_it_is_interrupted(
    tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    with bench(tmp_path) as running:
        # A database server, and a process that works beside it.
        logs = "bench/runs-*/run-*/*.log"
        wait_until(lambda: any(tmp_path.glob(logs)), SECONDS)
        children = psutil.Process(running.pid).children(recursive=True)
        assert children
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=SECONDS)
    assert running.returncode == 130, output
    _, left = psutil.wait_procs(children, timeout=5)
    assert not left


@pytest.mark.parametrize("option", ["--only", "--sizes"])
def test_an_unknown_name_is_refused_with_those_that_exist(
    tmp_path: Path, option: str
) -> None:
    done = subprocess.run(
        [*COMMAND, option, "nonsense"],
        cwd=BASE_DIR,
        env={**os.environ, "VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "choose from" in done.stderr
