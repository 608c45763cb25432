"""`migrate` to an older schema and back, as before a downgrade."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.env import BASE_DIR

APPS = [
    "router",
    "shop",
    "inventory",
    "fulfilment",
    "order_history",
    "customer_profiles",
]


@pytest.mark.timeout(300)
def test_every_migration_goes_back_and_forth(database_url: str, tmp_path: Path) -> None:
    own = {
        "DATABASE_URL": database_url,
        "VAR_DIR": str(tmp_path),
        "DEBUG": "true",
        "PYTHONDEVMODE": "",
    }

    def manage(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    manage("migrate", "-v0")
    manage("migrate", "router", "0007")
    for app in APPS:
        manage("migrate", app, "zero")
    manage("migrate", "-v0")

    assert "No planned migration operations." in manage("migrate", "--plan")
    assert "receipts" in manage("status")
