"""Log lines without the addresses that open a customer's page, as text or as JSON.

They have what the code says in its message and no event's data. A traceback has lines
of code and the words of its error.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from router.contract.log_ids import NAMES, current_log_ids
from router.tracing.spans import current_ids

SECRET = re.compile(r"/(orders|checkout|portal/open)/(?!progress/|leave/)[^/\s\"'?,)]+")


def hidden(text: str) -> str:
    """The text with `/orders/***/` for the page of an order.

    Django logs the path of each request that fails.
    """
    return SECRET.sub(r"/\1/***", text)


class SecretAddressFormatter(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, for programs that collect logs."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, Any] = {
            "time": time.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": hidden(record.getMessage()),
            **dict(_ids(record)),
        }
        if record.exc_info:
            fields["traceback"] = hidden(self.formatException(record.exc_info))
        if record.stack_info:
            fields["stack"] = hidden(self.formatStack(record.stack_info))
        return json.dumps(fields, default=str)


def _ids(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    """The ids of this line: its own before those of what is at work."""
    yield from current_ids().items()
    meta = getattr(getattr(record, "request", None), "META", {})
    known = {**current_log_ids(), **record.__dict__}
    for name in NAMES:
        value = known.get(name, meta.get(name))
        if value is not None:
            yield name, value
