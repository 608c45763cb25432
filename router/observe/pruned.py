"""How far the log is pruned: a deleted event differs from one that never existed."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from router.models import LogHead

HINT = _("It may have been pruned: what is old and settled is deleted.")


def pruned_to() -> int | None:
    """Up to this position the log has gaps: there it has only what was held."""
    return LogHead.objects.values_list("pruned_to", flat=True).first() or None


def whole_log() -> tuple[int | None, int]:
    """Up to which position the log has gaps, as `pruned_to` has it, and its head."""
    row = LogHead.objects.values_list("pruned_to", "position").first() or (0, 0)
    return row[0] or None, row[1]


def hint_of_missing(number: int | None = None) -> str:
    """`HINT` where it may be so; nothing for an event whose number is too high."""
    pruned = LogHead.objects.filter(pruned_number__gte=max(1, number or 1))
    return str(HINT) if pruned.exists() else ""
