"""Programs that come as Python packages, each in a virtual environment of its own.

Not in `tests/requirements.txt`: their dependencies would bind the project's.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import venv
from pathlib import Path

from config.env import BASE_DIR
from tests.servers.unavailable import Unavailable

LOCKS = Path(__file__).parent
INSTALL_SECONDS = 300


def python_programs(name: str, locks: Path = LOCKS) -> Path:
    """The folder of the programs that the lock of this name installs, made once.

    Raises `Unavailable` when pip can't fetch the packages.
    """
    lock_file = locks / f"{name}.txt"
    version = hashlib.sha256(lock_file.read_bytes()).hexdigest()[:12]
    folder = BASE_DIR / "var" / "python" / f"{name.replace('_', '-')}-{version}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            venv.create(folder, with_pip=True, clear=False)
            _install(str(folder / "bin" / "python"), lock_file)
            (folder / "installed").touch()
    return folder / "bin"


def _install(python: str, lock: Path) -> None:
    options = "--quiet --disable-pip-version-check --require-hashes"
    command = f"{python} -m pip install {options} -r {lock}"
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
