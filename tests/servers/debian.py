"""Debian's packages, for what has no wheel; only as root, and only what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess

from tests.servers.unavailable import Unavailable


def program(name: str, *, package: str) -> str:
    """The path of a program, installed first where it is missing.

    Raises `Unavailable`.
    """
    if shutil.which(name) is None:
        install(package)
    program = shutil.which(name)
    if program is None:
        raise Unavailable(f"{name} is not here; install its Debian package, {package}")
    return program


def install(package: str) -> None:
    """Install it where that can be done; nobody is asked, nothing is raised."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    for command in ("apt-get update", f"apt-get install -y {package}"):
        subprocess.run(
            [*command.split(), "-qq"],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
