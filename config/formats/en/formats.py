"""One date format everywhere: sortable, and with its zone."""

from __future__ import annotations

DATETIME_FORMAT = "Y-m-d H:i:s T"
