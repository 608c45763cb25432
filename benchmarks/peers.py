"""The peers' own environments: their pins never meet the product's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from config.env import BASE_DIR

REQUIREMENTS = BASE_DIR / "benchmarks" / "requirements.txt"
PACKAGE = BASE_DIR / "benchmarks" / "package.json"
Tell = Callable[[str], None]


def python_of_peers(folder: Path, tell: Tell) -> Path:
    """Its interpreter; made or brought up to date where it is not.

    Raises `subprocess.CalledProcessError` when it can't be had.
    """
    python = folder / "bin" / "python"
    if not (_is_installed(folder, REQUIREMENTS) and python.exists()):
        tell("making a virtual environment for the peers (once, half a minute)")
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        options = ("--quiet", "--disable-pip-version-check", "--require-hashes")
        _run(str(python), "-m", "pip", "install", *options, "-r", str(REQUIREMENTS))
        _note_installed(folder, REQUIREMENTS)
    return python


def modules_for_node(folder: Path, tell: Tell) -> Path | None:
    """Where what is written for Node.js finds its packages; None without Node.js.

    Raises `subprocess.CalledProcessError` when they can't be had.
    """
    if not (shutil.which("node") and shutil.which("npm")):
        tell("without graphile-worker: node and npm are not here")
        return None
    if not _is_installed(folder, PACKAGE):
        tell("installing graphile-worker")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE, folder)
        _run("npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder))
        _note_installed(folder, PACKAGE)
    return folder / "node_modules"


def _is_installed(folder: Path, wanted: Path) -> bool:
    installed = folder / "installed"
    return installed.exists() and installed.read_text() == wanted.read_text()


def _note_installed(folder: Path, wanted: Path) -> None:
    (folder / "installed").write_text(wanted.read_text())


def _run(*command: str) -> None:
    subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
