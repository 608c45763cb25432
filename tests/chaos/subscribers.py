"""The subscribers of the project under test, and what each promises."""

from __future__ import annotations

from http import HTTPStatus

#: Rows in the same database: exactly once.
LEDGER = "ledger"
#: The same; it rejects cursed orders for ever.
PICKY = "picky"
#: Lines in a file, outside the database: at least once.
POST = "post"
#: A webhook: at least once, under the same id.
HOOK = "hook"
#: A webhook that answers 422 or 500 to one order in nine, for ever.
MIXED = "mixed"
#: Programs that pull over HTTP: at least once.
PULLER = "puller"
#: An exchange of RabbitMQ: at least once, under the same id.
BUS = "bus"
#: What plain Celery can do as well, and what only the router does.
IN_PROCESS = (LEDGER, PICKY, POST)
SUBSCRIBERS = (*IN_PROCESS, HOOK, MIXED, PULLER, BUS)
AT_LEAST_ONCE = frozenset({POST, HOOK, MIXED, PULLER, BUS})
#: The source of the events of checkouts, and of those that a bridge takes in.
SOURCE = "/chaos"
OTHER_SHOP = "/other-shop"
SOURCES = (SOURCE, OTHER_SHOP)
#: `MIXED` refuses one order in so many.
POISON_EVERY = 9


def response_to(order: str) -> HTTPStatus:
    """204, 422 or 500, by the order's id: the receiver and the checker agree."""
    number = int(order[:8], 16)
    if number % POISON_EVERY:
        return HTTPStatus.NO_CONTENT
    if number // POISON_EVERY % 2:
        return HTTPStatus.INTERNAL_SERVER_ERROR
    return HTTPStatus.UNPROCESSABLE_ENTITY


def is_poison(order: str) -> bool:
    """Whether `MIXED` refuses this order."""
    return response_to(order) != HTTPStatus.NO_CONTENT
