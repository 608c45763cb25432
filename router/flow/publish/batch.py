"""A batch is all or nothing, and tells of every item that is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from router.contract.errors import BatchRefused, RouterError

Item = TypeVar("Item")
Result = TypeVar("Result")


def for_each(items: Iterable[Item], step: Callable[[Item], Result]) -> list[Result]:
    """What `step` makes of each item. Raises `BatchRefused` when it refuses some."""
    made: list[Result] = []
    refused: dict[int, RouterError] = {}
    for index, item in enumerate(items):
        try:
            made.append(step(item))
        except RouterError as error:
            refused[index] = error
    if refused:
        raise BatchRefused(refused)
    return made
