"""The code of the release before this one: what an upgrade comes from."""

from __future__ import annotations

import subprocess
from pathlib import Path

from config.env import BASE_DIR

#: The commit that stands for it while no commit before this one has a tag `v*`. Its
#: requirements are among those of this release: the same .venv runs it.
PINNED = Path(__file__).with_suffix(".txt")


def unpack_last_release(folder: Path) -> None:
    """Write its files into the new `folder`.

    Raises `AssertionError` where the history is not here.
    """
    assert _git("rev-parse", "--is-shallow-repository") == "false", (
        "This clone is shallow, and has no release before this one: "
        "git fetch --unshallow --tags"
    )
    commit = _last_tag() or PINNED.read_text().strip()
    folder.mkdir()
    archive = _run("git", "archive", commit)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)


def _last_tag() -> str:
    """Of the commits before this one; "" where none has such a tag."""
    return _git("describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^", code=128)


def _git(*arguments: str, code: int = 0) -> str:
    """What it prints. It may end with this code, too."""
    done = _run("git", *arguments, code=code)
    return done.stdout.decode().strip()


def _run(*argv: str, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(argv, cwd=BASE_DIR, check=False, capture_output=True)
    assert done.returncode in (0, code), done.stderr.decode()
    return done
