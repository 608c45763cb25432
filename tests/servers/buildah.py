"""Where Buildah is; as root on Debian it is installed when it is missing."""

from __future__ import annotations

import os
import shutil

from tests.servers.debian import install
from tests.servers.unavailable import Unavailable


def buildah_program() -> str:
    """The program that builds images without a daemon. Raises `Unavailable`.

    It takes its base from `debootstrap`, which only root may run.
    """
    if os.geteuid() != 0:
        raise Unavailable("only root may build a base image with debootstrap")
    for name in ("buildah", "debootstrap"):
        if shutil.which(name) is None:
            install(name)
        if shutil.which(name) is None:
            raise Unavailable(f"{name} is not here; install its Debian package")
    return str(shutil.which("buildah"))
