"""Which due deliveries may be handed out at once, to a worker or to a puller."""

from __future__ import annotations

from collections.abc import Iterable

from router.conf import conf


def together(due: Iterable[tuple[int, int, int]]) -> tuple[int, ...]:
    """The ids that may share a message: not too heavy, and a suspect travels alone.

    `due` are the id, the vanished leases and the size of each, in their order.
    """
    chosen: list[int] = []
    weight = 0
    for pk, vanished, size in due:
        weight += size
        if chosen and (vanished or weight > conf().chunk_bytes):
            break
        chosen.append(pk)
        if vanished:
            break
    return tuple(chosen)
