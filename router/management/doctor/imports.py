"""An import that has not come to its end."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DatabaseError

from router.management.doctor.finding import Finding, Level
from router.observe.overview import is_import_open


def examine_imports() -> Iterator[Finding]:
    """A warning while an import is open: one that was killed stays so."""
    try:
        is_open = is_import_open()
    except DatabaseError:
        # The findings about the database and its migrations say why.
        return
    if is_open:
        yield Finding(
            "import",
            Level.WARNING,
            "is open: runs and subscribers that read it wait at its end",
            "Unless `manage.py import_history` runs, run it again to go on, or with "
            "--close.",
        )
