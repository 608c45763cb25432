"""How many due deliveries may be handed out at once: none too heavy a load."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from router.conf import conf


def together(due: Iterable[Sequence[Any]]) -> tuple[int, ...]:
    """The first ids, as long as their events are not too heavy together.

    `due` are rows that begin with the id and the size in bytes, in their order.
    """
    chosen: list[int] = []
    weight = 0
    for pk, size, *_ in due:
        weight += size
        if chosen and weight > conf().chunk_bytes:
            break
        chosen.append(pk)
    return tuple(chosen)
