"""`openapi-python-client`, in a virtual environment of its own."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import venv
from pathlib import Path

from config.env import BASE_DIR
from tests.servers.unavailable import Unavailable

#: Not in `tests/requirements.txt`: its dependencies would bind the project's.
LOCK = Path(__file__).with_suffix(".txt")
INSTALL_SECONDS = 300


def client_generator() -> str:
    """The folder of the environment's programs, made once and kept between runs.

    Raises `Unavailable` when pip can't fetch the package.
    """
    version = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    folder = BASE_DIR / "var" / "python" / f"client-generator-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            venv.create(folder, with_pip=True, clear=False)
            _install(str(folder / "bin" / "python"))
            (folder / "installed").touch()
    return str(folder / "bin")


def _install(python: str) -> None:
    options = "--quiet --disable-pip-version-check --require-hashes"
    command = f"{python} -m pip install {options} -r {LOCK}"
    try:
        done = subprocess.run(
            command.split(),
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"pip took longer than {INSTALL_SECONDS} s") from None
    if done.returncode != 0:
        raise Unavailable(f"pip could not install it: {done.stderr.strip()[-300:]}")
