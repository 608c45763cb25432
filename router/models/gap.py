"""The gap between the last imported fact and the first live event of the log.

Facts from before the router have negative positions, counted upwards from the smallest
integer that JSON keeps exactly; live events have those from 1 on. Between the two lie
positions that no event ever has: a cursor jumps over them, and nothing counts them.
"""

from __future__ import annotations

from django.utils.formats import number_format
from django.utils.translation import gettext

MIN_IMPORT_POSITION = -(2**53 - 1)
#: Where a cursor starts that reads every import.
BEFORE_IMPORTS = MIN_IMPORT_POSITION - 1


def is_imported(position: int | None) -> bool:
    """Whether the event at this position was imported."""
    return position is not None and position < 0


def end_of_part(after: int, to: int, *, imported: int) -> int:
    """The last position up to `to` that may be read from `after` on without a jump:
    the imports end at the position `imported`."""
    return min(to, imported) if after < 0 else to


def distance(after: int, to: int, *, imported: int) -> int:
    """How many positions above `after` and up to `to` may have an event."""
    if after >= 0:
        return max(0, to - after)
    return max(0, min(to, imported) - after) + max(0, to)


def place_name(position: int) -> str:
    """A position in words: `position 1,234`; of imports, whose positions nobody can
    read, their count: `import 3`."""
    if is_imported(position):
        return gettext("import %(count)s") % {
            "count": _grouped(position - BEFORE_IMPORTS)
        }
    return gettext("position %(count)s") % {"count": _grouped(position)}


def _grouped(count: int) -> str:
    return number_format(count, force_grouping=True)
