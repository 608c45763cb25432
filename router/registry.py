"""`@subscriber`: handler name → function and its declared options; no database."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.utils.functional import Promise

from router.conf import HANDLER_QUEUES
from router.contract.errors import InvalidSubscriber
from router.contract.event import Event
from router.contract.filters import matches_any, pattern_problem

Handler = Callable[[Event], object]
#: What overwrites the data of a customer; returns how many rows of each kind.
Eraser = Callable[..., Mapping[str, int]]
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
#: Option → what it may be.
CHOICES = {
    "start": ("now", "beginning"),
    "ordering": ("none", "key"),
    "on_dead": ("hold", "skip"),
}


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """The checked options of `@subscriber`."""

    name: str
    handler: Handler
    events: tuple[str, ...]
    title: str
    customer_title: str | Promise
    is_transactional: bool
    is_safe_concurrently: bool
    queue: str
    time_limit_seconds: float | None
    retry_first_seconds: int | None
    retry_maximum_seconds: int | None
    max_failures: int | None
    missing: Callable[[], str | None] | None
    filter: Mapping[str, Any] | None = None
    dataschemas: Mapping[str, str] = field(default_factory=dict)
    start: str = "now"
    ordering: str = "none"
    on_dead: str = "hold"
    is_idempotent: bool = False
    formerly: str = ""
    fails_by_type: bool = False

    @property
    def name_in_ids(self) -> str:
        """The name from which the ids of what the handler publishes are made: a second
        run of an event gives the same after the new name as before it."""
        return self.formerly or self.name


_declared: dict[str, Declaration] = {}
#: Dotted name of an eraser → the eraser.
_erasers: dict[str, Eraser] = {}


def subscriber(
    name: str,
    *,
    events: Sequence[str],
    title: str = "",
    customer_title: str | Promise = "",
    is_transactional: bool = True,
    is_safe_concurrently: bool = False,
    queue: str = "default",
    time_limit_seconds: float | None = None,
    retry_first_seconds: int | None = None,
    retry_maximum_seconds: int | None = None,
    max_failures: int | None = None,
    missing: Callable[[], str | None] | None = None,
    filter: Mapping[str, Any] | None = None,
    dataschemas: Mapping[str, str] | None = None,
    start: str = "now",
    ordering: str = "none",
    on_dead: str = "hold",
    is_idempotent: bool = False,
    formerly: str = "",
    fails_by_type: bool = False,
) -> Callable[[Handler], Handler]:
    """Register the decorated function as the subscriber `name`.

    `events` are types or patterns (`purchase.completed`, `purchase.*`, `*`); `title`
    is what staff read. Customers see the subscriber on the page of their order if it
    has a `customer_title`, and read that. A transactional handler keeps its effects in
    the router's database: they commit together with the acknowledgement, exactly once,
    and its deliveries run one chunk at a time unless `is_safe_concurrently`. Handlers
    with effects elsewhere say `is_transactional=False` and must be idempotent by
    `(event.source, event.id)`. `missing` returns a hint while the subscriber lacks
    something it needs; it is then held, nothing is lost. `filter` is one of the
    CloudEvents Subscriptions API; the system check router.E034 names what is wrong
    with it, and `register_declared` refuses it. `dataschemas` pins event types to a
    version of their schema: newer events come in that version. A new subscriber with
    `start` "now" is owed every event routed from then on, with "beginning" also those
    before that are still in the log. With `ordering` "key" the events of one
    `partitionkey` come one after the other; a failed task holds the later ones of its
    key, unless `on_dead` is "skip". `is_idempotent` says that the handler does nothing
    more for an event, by its `(source, id)`, that it has had: a replay needs no
    confirmation then. `formerly` is the name that it had before: the first registration
    of the new one takes the old subscriber over, with all that it has and is owed; the
    system check router.E039 finds a wrong one, and `register_declared` refuses it.
    `fails_by_type` says that all events of one type may fail while the handler is well
    for others: only failures of different types in a row open its breaker.

    Raises `InvalidSubscriber` when an option is wrong or the name is taken.
    """

    def register(handler: Handler) -> Handler:
        declaration = Declaration(
            name=name,
            handler=handler,
            events=(events,) if isinstance(events, str) else tuple(events),
            title=title or name.replace("_", " ").capitalize(),
            customer_title=customer_title,
            is_transactional=is_transactional,
            is_safe_concurrently=is_safe_concurrently,
            queue=queue,
            time_limit_seconds=time_limit_seconds,
            retry_first_seconds=retry_first_seconds,
            retry_maximum_seconds=retry_maximum_seconds,
            max_failures=max_failures,
            missing=missing,
            filter=filter,
            dataschemas=dict(dataschemas or {}),
            start=start,
            ordering=ordering,
            on_dead=on_dead,
            is_idempotent=is_idempotent,
            formerly=formerly,
            fails_by_type=fails_by_type,
        )
        _validate(declaration)
        _declared[name] = declaration
        return handler

    return register


def eraser(erase: Eraser) -> Eraser:
    """Call the decorated function when a customer is erased.

    `erase(customer, *, is_dry_run)` overwrites what its own tables and files have of
    `customer`, by `email`, `ids`, or source and id of `events`; ids and totals stay. It
    runs in the transaction that erases the events, and may run again for the same
    customer. It returns how many rows of each kind it overwrites; in a dry run it
    counts them alone.
    """
    _erasers[_place(erase)] = erase
    return erase


def erasers() -> list[Eraser]:
    """Every registered eraser, in the order of registration."""
    return list(_erasers.values())


def declared() -> Iterator[Declaration]:
    """Every declared subscriber, in the order of declaration."""
    return iter(tuple(_declared.values()))


def find(name: str) -> Declaration | None:
    return _declared.get(name)


def former_name_problem(declaration: Declaration) -> str | None:
    """Why it can't take over the subscriber of its former name; known once all are
    declared."""
    former = declaration.formerly
    if not former:
        return None
    if former in _declared:
        return f"`formerly` names {former}, which is declared too"
    if sum(each.formerly == former for each in declared()) > 1:
        return f"`formerly` names {former}, as another one does"
    return None


@contextmanager
def isolated() -> Iterator[None]:
    """Within the block only what it declares is declared (for test suites)."""
    kept, kept_erasers = dict(_declared), dict(_erasers)
    _declared.clear()
    _erasers.clear()
    try:
        yield
    finally:
        _declared.clear()
        _declared.update(kept)
        _erasers.clear()
        _erasers.update(kept_erasers)


def _validate(declaration: Declaration) -> None:
    problems = list(_problems(declaration))
    if problems:
        message = "; ".join(problems)
        raise InvalidSubscriber(f"@subscriber({declaration.name!r}): {message}.")


def _problems(declaration: Declaration) -> Iterator[str]:
    known = _declared.get(declaration.name)
    if not NAME.fullmatch(declaration.name):
        yield "the name must be lower case letters, digits and underscores"
    if known and _place(known.handler) != _place(declaration.handler):
        yield f"the name is taken by {_place(known.handler)}"
    if not declaration.events:
        yield "`events` is empty: name at least one event type"
    yield from filter(None, map(pattern_problem, declaration.events))
    for event_type in declaration.dataschemas:
        if not matches_any(declaration.events, event_type):
            yield f"`dataschemas` names {event_type}, which is not among its events"
    if inspect.iscoroutinefunction(declaration.handler):
        yield "the handler is `async def`; write a plain function"
    elif not _takes_an_event(declaration.handler):
        yield "the handler must take exactly one argument, the event"
    if declaration.queue not in HANDLER_QUEUES:
        yield f"`queue` must be one of {', '.join(HANDLER_QUEUES)}"
    for option, choices in CHOICES.items():
        if getattr(declaration, option) not in choices:
            yield f"`{option}` must be one of {', '.join(choices)}"
    yield from _number_problems(declaration)


def _number_problems(declaration: Declaration) -> Iterator[str]:
    for option in (
        "time_limit_seconds",
        "retry_first_seconds",
        "retry_maximum_seconds",
        "max_failures",
    ):
        value = getattr(declaration, option)
        if value is not None and not value > 0:
            yield f"`{option}` must be above zero"


def _takes_an_event(handler: Handler) -> bool:
    try:
        inspect.signature(handler).bind(object())
    except TypeError:
        return False
    return True


def _place(handler: Handler) -> str:
    return f"{handler.__module__}.{getattr(handler, '__qualname__', handler)}"
