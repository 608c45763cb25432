"""Which orders a mixed receiver refuses, for ever, and with what. Pure."""

from __future__ import annotations

from http import HTTPStatus

#: One order in so many.
EVERY = 9


def answer_to(order: str) -> HTTPStatus:
    """204, 422 or 500, by the order's id: the receiver and the checker agree."""
    number = int(order[:8], 16)
    if number % EVERY:
        return HTTPStatus.NO_CONTENT
    is_even = number // EVERY % 2 == 0
    if is_even:
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.INTERNAL_SERVER_ERROR


def is_poison(order: str) -> bool:
    return answer_to(order) != HTTPStatus.NO_CONTENT
