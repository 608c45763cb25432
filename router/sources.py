"""Connects the signals named in `ROUTER["SOURCES"]` to `publish()`.

The receiver raises what publish raises: sent with `Signal.send`, an event that can't be
recorded rolls the sender's transaction back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.dispatch import Signal
from django.utils.module_loading import import_string

from router.conf import conf
from router.public import publish


def connect_sources() -> None:
    for dotted, source in conf().sources.items():
        signal: Signal = import_string(dotted)
        signal.connect(
            _recorder(source), weak=False, dispatch_uid=f"router.sources.{dotted}"
        )


def _recorder(source: str) -> Callable[..., int]:
    def record(
        sender: object,
        *,
        type: str,
        data: Any,
        signal: Signal,
        **envelope: Any,
    ) -> int:
        return publish(type, data, source=source, **envelope).number

    return record
