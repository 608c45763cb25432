"""A digest of a set of events, whatever their order: sets with the same digest and the
same count have the same events."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

#: Digests are below it: a column of 64 bits with a sign holds them.
MODULUS = 2**63


def digest_of(names: Iterable[tuple[str, str]]) -> int:
    """The digest of the events with these pairs of source and id: the sum, modulo 2^63,
    of the first 8 bytes of the SHA-256 of source, line feed and id, as UTF-8."""
    return sum(map(_part, names)) % MODULUS


def digest_text(digest: int) -> str:
    """The digest in 16 hexadecimal digits: JSON's numbers lose digits of larger ones in
    many programs."""
    return f"{digest:016x}"


def _part(name: tuple[str, str]) -> int:
    return int.from_bytes(sha256("\n".join(name).encode()).digest()[:8])
