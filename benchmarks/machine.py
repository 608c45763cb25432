"""The machine and the versions that the figures were taken with."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.bench import Bench
from benchmarks.peers import FOLDER, node_packages

PACKAGES = ("Django", "celery", "kombu", "psycopg", "redis")


def machine() -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions(bench: Bench) -> dict[str, str]:
    """Of the contenders, and of what they run on."""
    peers = dict(
        line.split("==")
        for line in (FOLDER / "requirements.in").read_text().splitlines()
        if line.startswith(("pgqueuer", "procrastinate"))
    )
    return {
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        **{name.partition("[")[0]: number for name, number in peers.items()},
        **node_packages(),
        "PostgreSQL": bench.postgresql_version(),
    }


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()
