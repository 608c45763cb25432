"""The subscribers of the project under test."""

from __future__ import annotations

#: Rows in the same database: exactly once.
LEDGER = "ledger"
#: The same, and refuses cursed orders for ever.
PICKY = "picky"
#: Lines in a file, outside the database: at least once.
POST = "post"
SUBSCRIBERS = (LEDGER, PICKY, POST)
#: Who publishes.
SOURCE = "/chaos"
