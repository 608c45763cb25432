"""Builds and runs the image of `docker/Dockerfile`, without a daemon or a registry."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from config.env import BASE_DIR
from tests.servers.debian import install
from tests.servers.debian_base import CACHE, base_archive
from tests.servers.pip_settings import pip_settings
from tests.servers.server import Server
from tests.servers.unavailable import Unavailable

#: No namespace is made: what runs has this machine's network and its ports.
ISOLATION = "--isolation=chroot"


class Image:
    """Fanfare's image, and one container of it in which several programs may run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._base()
        self._build()
        self._container = self._buildah("from", "localhost/fanfare").strip()
        self.root = Path(self._buildah("mount", self._container).strip())

    @property
    def environment(self) -> list[str]:
        """What the image says to each of its containers, as `NAME=value`."""
        described = json.loads(self._buildah("inspect", "--type=image", "fanfare"))
        return list(described["OCIv1"]["config"]["Env"])

    def argv(self, command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        """What runs that command in the container, with that environment alone."""
        given = [f"--env={name}={value}" for name, value in environment.items()]
        return self._argv("run", ISOLATION, *given, self._container, "--", *command)

    def run(
        self, *command: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(command, environment),
            check=False,
            capture_output=True,
            text=True,
        )

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> Server:
        """A program of the container that stays until it is stopped."""
        return Server(self.argv(command, environment), self._folder / f"{name}.log")

    def _base(self) -> None:
        container = self._buildah("from", "scratch").strip()
        self._buildah("add", "--quiet", container, str(base_archive()), "/")
        self._buildah("commit", "--quiet", "--rm", container, "base")

    def _build(self) -> None:
        settings, paths = pip_settings()
        secret = self._folder / "pip.conf"
        secret.touch(mode=0o600)
        secret.write_text(settings)
        self._buildah(
            *("bud", ISOLATION, "--build-arg=BASE=localhost/base"),
            "--build-arg=REQUIREMENTS=requirements-routers.txt",
            *(f"--volume={path}:{path}:ro" for path in paths),
            f"--secret=id=pip,src={secret}",
            *("--file=docker/Dockerfile", "--tag=fanfare", "."),
        )

    def _buildah(self, *arguments: str) -> str:
        done = subprocess.run(
            self._argv(*arguments),
            cwd=BASE_DIR,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def _argv(self, *arguments: str) -> list[str]:
        storage = ("--storage-driver=vfs", f"--root={self._folder}/storage")
        run_root = f"--runroot={self._folder}/run"
        return [buildah_program(), *storage, run_root, *arguments]


def buildah_program() -> str:
    """The program that builds images without a daemon.

    Its base comes from `debootstrap`, which only root may run. Raises `Unavailable`.
    """
    if os.geteuid() != 0:
        raise Unavailable("only root may make the base of an image")
    for name in ("buildah", "debootstrap"):
        if shutil.which(name) is None:
            install(name)
        if shutil.which(name) is None:
            raise Unavailable(f"{name} is not here; install its Debian package")
    return str(shutil.which("buildah"))


@contextmanager
def built_image() -> Iterator[Image]:
    """The image, built afresh in a folder of its own."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE, prefix="image-") as folder:
        yield Image(Path(folder))
        # A hundred thousand files: Python alone would take minutes.
        subprocess.run(["rm", "-rf", f"{folder}/storage"], check=True)
