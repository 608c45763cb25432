"""The subscribers of the project under test."""

from __future__ import annotations

#: Rows in the same database: exactly once.
LEDGER = "ledger"
#: The same, and refuses cursed orders for ever.
PICKY = "picky"
#: Lines in a file, outside the database: at least once.
POST = "post"
#: Another's server, posted to: at least once, under the same id.
HOOK = "hook"
#: The same, and answers 422 or 500 to one order in nine, for ever.
MIXED = "mixed"
#: Another's programs, which pull: at least once.
PULLER = "puller"
#: What plain Celery can do as well, and what only the router does.
IN_PROCESS = (LEDGER, PICKY, POST)
SUBSCRIBERS = (*IN_PROCESS, HOOK, MIXED, PULLER)
AT_LEAST_ONCE = frozenset({POST, HOOK, MIXED, PULLER})
#: Who publishes.
SOURCE = "/chaos"
