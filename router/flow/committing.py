"""What may be lost with the database's own crash, since it is then done again."""

from __future__ import annotations

from django.db import connection


def commit_unwaited() -> None:
    """Let this transaction's commit return before it is on the disk.

    For marks and leases only: what a crash forgets of them is due again, and the token
    of a forgotten lease settles nothing. Whoever publishes or settles waits.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO OFF")
