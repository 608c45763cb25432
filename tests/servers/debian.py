"""Debian's packages, for what has no wheel; only as root, and only what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess


def install(package: str) -> None:
    """Install it where that can be done; nobody is asked, nothing is raised."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    for command in ("apt-get update", f"apt-get install -y {package}"):
        subprocess.run(  # noqa: S603
            [*command.split(), "-qq"],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
