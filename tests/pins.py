"""What a lock or a list of requirements pins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from config.env import BASE_DIR


@dataclass(frozen=True)
class Pin:
    """One requirement of a file, with the hashes that pip accepts for it."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def version(self) -> str:
        """The only one that it allows.

        Raises `ValueError` where it is not pinned exactly.
        """
        [specifier] = self.requirement.specifier
        if specifier.operator != "==" or "*" in specifier.version:
            raise ValueError(f"{self.requirement} is not pinned exactly")
        return specifier.version


def pins(file: str) -> dict[str, Pin]:
    """Package → its pin; options of pip, as `-r`, are left out."""
    pinned = {}
    for line in lines(file):
        if not line.startswith("-"):
            written, *hashes = line.split(" --hash=")
            pin = Pin(Requirement(written), tuple(h.strip() for h in hashes))
            pinned[canonicalize_name(pin.requirement.name)] = pin
    return pinned


def lines(file: str) -> Iterator[str]:
    """The lines that pip reads: joined where they go on, without comments."""
    text = (BASE_DIR / file).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield " ".join(line.split())
