"""The packages that the two commands install are those of the locks, and listed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from config.env import BASE_DIR
from tests.pins import pins

LOCK = "requirements.txt"


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def lines_of(name: str) -> str:
    """Those that pin one package in the lock."""
    text = (BASE_DIR / LOCK).read_text()
    start = text.index(f"\n{name}==") + 1
    return text[start : text.index("\n    #", start)] + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(BASE_DIR / "Makefile", tmp_path)
    return tmp_path


def test_a_package_of_another_hash_is_refused_until_the_lock_is_right(
    folder: Path,
) -> None:
    lock = folder / LOCK
    right = lines_of("idna")
    wrong = re.sub(r"sha256:\w{8}", "sha256:00000000", right)

    lock.write_text(wrong)
    tampered = make(folder, "runtime")
    lock.write_text("idna\n")
    loose = make(folder, "runtime")
    lock.write_text(right)
    sound = make(folder, "runtime")

    assert tampered.returncode != 0
    assert "DO NOT MATCH THE HASHES" in tampered.stderr
    assert loose.returncode != 0
    assert "--require-hashes" in loose.stderr
    assert sound.returncode == 0, sound.stderr
    assert list(folder.glob(".venv/lib/*/site-packages/idna"))


def test_the_bill_of_materials_lists_every_pin(tmp_path: Path) -> None:
    path = tmp_path / "made" / "sbom.json"

    done = make(BASE_DIR, "sbom", f"SBOM={path}")

    assert done.returncode == 0, done.stderr
    bill = json.loads(path.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "django-fanfare"
    listed = {part["name"]: part["version"] for part in bill["components"]}
    assert listed == {name: pin.version for name, pin in pins(LOCK).items()}
