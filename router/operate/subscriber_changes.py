"""What the audit shows of a change of a subscriber: every field, and no secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from router.contract.masking import masked, masked_target
from router.flow import audit

#: Field with secrets → what of its value may be shown. Of headers: their names.
SHOWN: dict[str, Callable[[Any], Any]] = {
    "url": masked,
    "target": masked_target,
    "custom_headers": sorted,
}
#: In place of the value after a change of the hidden part alone.
HIDDEN = "changed in its hidden part"


def shown_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> audit.Changes:
    """The fields of `after` that differ, each with both values.

    Both mappings have whole values; the result has none that is secret.
    """
    return {
        name: _shown(name, before[name], value)
        for name, value in sorted(after.items())
        if value != before[name]
    }


def _shown(name: str, before: Any, after: Any) -> tuple[Any, Any]:
    show = SHOWN.get(name)
    if show is None:
        return before, after
    former, present = show(before), show(after)
    return former, HIDDEN if present == former else present
