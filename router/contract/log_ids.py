"""The ids that log lines carry beside their text, as far as they are known.

`request_id` of the HTTP request, `subscriber` by name, `event` by its number in the
log, `delivery` by its id. Those of a line's own `extra` go before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

NAMES = ("request_id", "subscriber", "event", "delivery")
_ids: ContextVar[Mapping[str, object]] = ContextVar(
    "log_ids", default=MappingProxyType({})
)


@contextmanager
def log_ids(**ids: object) -> Iterator[Callable[[Mapping[str, object]], object]]:
    """Lines that this thread logs meanwhile carry these ids, beside those before.

    What it yields replaces them: for one event after the other, whose ids are merged by
    the caller with `current_log_ids`.
    """
    token = _ids.set({**_ids.get(), **ids})
    try:
        yield _ids.set
    finally:
        _ids.reset(token)


def current_log_ids() -> Mapping[str, object]:
    return _ids.get()
