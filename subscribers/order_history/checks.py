"""Wrong settings of the order history, each with a hint."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error

from subscribers.order_history.conf import parcel_sources


def check_settings(**_: Any) -> list[CheckMessage]:
    sources = parcel_sources()
    is_list = isinstance(sources, list | tuple)
    if is_list and all(isinstance(source, str) for source in sources):
        return []
    return [
        Error(
            f'ORDER_HISTORY["PARCEL_SOURCES"] is {sources!r}, which is no list of '
            "sources.",
            hint='Write a list such as ["/fulfilment"].',
            id="order_history.E001",
        )
    ]
