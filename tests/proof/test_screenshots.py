"""`manage.py screenshots` makes every picture that a page of the docs shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from config.env import BASE_DIR
from config.screenshots.pictures import BROKEN, CALM
from tests.servers.chromium import chromium

PNG = b"\x89PNG\r\n\x1a\n"
#: The largest that the repository should carry.
MAX_BYTES = 250_000


def test_the_command_takes_every_picture_anew(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "screenshots", "--into", str(tmp_path)],
        cwd=BASE_DIR,
        env={**os.environ, "DEBUG": "true", "CHROMIUM": chromium()},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    taken = {path.stem: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(taken) == {*CALM, *BROKEN}
    for name, picture in taken.items():
        assert picture.startswith(PNG), name
        assert len(picture) < MAX_BYTES, name
