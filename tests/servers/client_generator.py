"""`openapi-python-client`, in a virtual environment of its own."""

from __future__ import annotations

import fcntl
import subprocess
import venv

from config.env import BASE_DIR
from tests.servers.unavailable import Unavailable

#: Not of `tests/requirements.txt`: its dependencies would bind the project's.
PACKAGE = "openapi-python-client==0.29.1"
INSTALL_SECONDS = 300


def client_generator() -> str:
    """The folder of the environment's programs, made once and kept between runs.

    Raises `Unavailable` when pip can't fetch the package.
    """
    folder = BASE_DIR / "var" / "python" / PACKAGE
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            venv.create(folder, with_pip=True, clear=False)
            _install(str(folder / "bin" / "python"))
            (folder / "installed").touch()
    return str(folder / "bin")


def _install(python: str) -> None:
    command = f"{python} -m pip install --quiet --disable-pip-version-check {PACKAGE}"
    try:
        done = subprocess.run(  # noqa: S603
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
