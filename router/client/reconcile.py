"""What a receiver lacks, and what it has too many, learned by digests of windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

#: One call answers for no wider window.
MAX_POSITIONS = 20_000
#: An event that a receiver holds: its position, its source, its id.
Held = tuple[int, str, str]
#: The answer for the positions from the first to the second; None: the router's choice.
Ask = Callable[[int | None, int | None], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Missing:
    """An event that the receiver was owed and does not hold; `number` names it to the
    router, which gives it again by a replay."""

    position: int
    number: int
    source: str
    id: str


@dataclass(kw_only=True)
class Difference:
    """What a receiver lacks, and what it holds beyond what it was owed, or twice."""

    missing: list[Missing] = field(default_factory=list)
    extra: list[Held] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra)


def digest_of(held: Iterable[Held]) -> str:
    """The digest of these events as the router has it: 16 hexadecimal digits."""
    total = sum(_part(source, id) for _, source, id in held)
    return f"{total % 2**63:016x}"


def difference(
    ask: Ask, have: Iterable[Held], *, first: int | None, last: int | None
) -> Difference:
    """Compare `have` with what was owed from position `first` to `last`."""
    held = sorted(have)
    found = Difference()
    for answer in _windows(ask, first, last):
        _compare(ask, answer, held, found)
    return found


def _windows(ask: Ask, first: int | None, last: int | None) -> Iterator[dict[str, Any]]:
    """The answers for the window, one after the other."""
    if first is None or last is None:
        answer = ask(first, None)
        first = answer["from"]
        if last is None:
            yield answer
            first, last = answer["to"] + 1, answer["position"]
            if first > last:
                return
    while True:
        # The router cuts a window that begins among imports, and ends with them.
        is_imported = first < 0 <= last
        answer = ask(
            first, last if is_imported else min(last, first + MAX_POSITIONS - 1)
        )
        yield answer
        first = answer["to"] + 1
        if first > last:
            return


def _compare(
    ask: Ask, answer: dict[str, Any], held: Sequence[Held], found: Difference
) -> None:
    for part in answer["parts"]:
        mine = list(_between(held, part["from"], part["to"]))
        if (len(mine), digest_of(mine)) == (part["count"], part["digest"]):
            continue
        if part["from"] < part["to"]:
            _compare(ask, ask(part["from"], part["to"]), mine, found)
        else:
            _note(part["event"], mine, found)


def _note(event: dict[str, Any] | None, mine: list[Held], found: Difference) -> None:
    """What is wrong at one position, at which `event` was owed."""
    if event is not None:
        owed = (event["position"], event["source"], event["id"])
        if owed in mine:
            mine.remove(owed)
        else:
            names = ("position", "number", "source", "id")
            found.missing.append(Missing(**{name: event[name] for name in names}))
    found.extra += mine


def _between(held: Sequence[Held], first: int, last: int) -> Iterator[Held]:
    begin = bisect_left(held, first, key=lambda each: each[0])
    end = bisect_right(held, last, key=lambda each: each[0])
    yield from held[begin:end]


def _part(source: str, id: str) -> int:
    return int.from_bytes(sha256(f"{source}\n{id}".encode()).digest()[:8])
