"""Facts from before the router, as tests name them in `ROUTER["HISTORY"]`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from router.models import EventRecord
from router.operate.importing import Import
from tests.contract.steps import TYPE

SOURCE = "/past"
BEGAN_AT = datetime(2020, 1, 1, tzinfo=UTC)
HISTORY = {TYPE: {"facts": "tests.contract.past_facts.facts", "source": SOURCE}}
#: What `facts` gives.
given: list[dict[str, Any]] = []


def facts(since: datetime | None = None) -> Iterator[dict[str, Any]]:
    yield from given


def fact(n: int, **envelope: Any) -> dict[str, Any]:
    """Of day `n`, with `n` in its data."""
    at = BEGAN_AT + timedelta(days=n)
    return {"id": f"past-{n}", "time": at, "data": {"n": n}, **envelope}


def imported(*numbers: int, types: tuple[str, ...] = (TYPE,), **options: Any) -> Import:
    """Import the facts of these days, beside those of earlier calls."""
    given.extend(fact(n, partitionkey="ab"[n % 2]) for n in numbers)
    history = Import(types=types, **options)
    for _ in history.steps():
        pass
    return history


def others(since: datetime | None = None) -> Iterator[dict[str, Any]]:
    for n in (1, 3, 5):
        yield fact(n, id=f"other-{n}", source=SOURCE)


def stop_midway(*numbers: int) -> None:
    """Import the facts of these days, as an import that is killed before its end."""
    given.extend(map(fact, numbers))
    next(Import(types=[TYPE]).steps())


def positions() -> list[int | None]:
    """Those of the facts, in their order."""
    of_past = EventRecord.objects.filter(source=SOURCE).order_by("position")
    return list(of_past.values_list("position", flat=True))
