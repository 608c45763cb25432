"""The ids that log lines carry beside their text, as far as they are known.

`request_id` of the HTTP request, `subscriber` by name, `event` by its number in the
log, `delivery` by its id. Those of a line's own `extra` go before.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

NAMES = ("request_id", "subscriber", "event", "delivery")
_ids: ContextVar[Mapping[str, object]] = ContextVar(
    "log_ids", default=MappingProxyType({})
)


class log_ids:  # noqa: N801  # reads as a function, and costs each event less than one
    """Lines that this thread logs meanwhile carry these ids, beside those before."""

    def __init__(self, **ids: object) -> None:
        self._new = ids

    def __enter__(self) -> None:
        self._token = _ids.set({**_ids.get(), **self._new})

    def __exit__(self, *_: object) -> None:
        _ids.reset(self._token)


def current_log_ids() -> Mapping[str, object]:
    return _ids.get()
