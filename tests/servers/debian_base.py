"""A small Debian with Python, as the base of an image where no registry is asked."""

from __future__ import annotations

import fcntl
import platform
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from config.env import BASE_DIR

#: What the Dockerfile asks of its base.
PACKAGES = "python3,python3-venv"
CACHE = BASE_DIR / "var" / "proof"
NOT_KEPT = ("./proc/*", "./sys/*", "./dev/*", "./var/cache/apt/*", "./var/lib/apt/*")


def base_archive() -> Path:
    """The tar archive of it: this machine's release, made once and then kept."""
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    CACHE.mkdir(parents=True, exist_ok=True)
    archive = CACHE / f"{release}-{PACKAGES.replace(',', '-')}.tar"
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not archive.exists():
            _make(release, archive)
    return archive


def _make(release: str, archive: Path) -> None:
    half = archive.with_suffix(".half")
    with TemporaryDirectory(dir=CACHE) as folder:
        _run(
            *("debootstrap", "--variant=minbase", f"--include={PACKAGES}"),
            *(release, folder, _mirror(release)),
        )
        excluded = [f"--exclude={path}" for path in NOT_KEPT]
        _run("tar", "-C", folder, *excluded, "-cf", str(half), ".")
    half.rename(archive)


def _mirror(release: str) -> str:
    """Where this machine's own apt gets that release from."""
    listed = _run(
        *("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"),
        "Identifier: Packages",
    )
    targets = (line.split() for line in listed.splitlines())
    return next(uri for uri, name, part in targets if (name, part) == (release, "main"))


def _run(*argv: str) -> str:
    done = subprocess.run(
        [str(shutil.which(argv[0])), *argv[1:]],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (
        f"{argv[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    )
    return done.stdout
