"""What a person or a client may set as the target of a foreign router."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from router.contract.masking import HIDDEN, masked_target
from router.models import Transport
from router.transports.kinds import KINDS, target_problems

#: The transports of subscribers that people manage.
MANAGED = (Transport.WEBHOOK, Transport.PULL, *map(Transport, KINDS))
MAX_TARGET_LENGTH = 10_000
Problem = tuple[str, str]


def with_kept_secrets(
    transport: str, target: Mapping[str, Any], before: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The target, with its hidden values as they were `before`.

    What is shown with `…` can be sent back as it is. It is not kept where the target
    leads to another address: a password must not follow there.
    """
    shown = masked_target(before)
    address = KINDS[transport].target.ADDRESS if transport in KINDS else ()
    if any(target.get(name) != shown.get(name) for name in address):
        return target
    return {
        name: before[name] if _is_hidden(value) and value == shown.get(name) else value
        for name, value in target.items()
    }


def problems_of_target(wanted: Mapping[str, Any]) -> Iterator[Problem]:
    """Pairs of JSON pointer and what is wrong there."""
    transport, target = wanted["transport"], wanted["target"]
    if transport not in KINDS:
        return
    hidden = [name for name, value in target.items() if _is_hidden(value)]
    if hidden:
        for name in hidden:
            yield f"/target/{name}", f"has {HIDDEN} in place of a secret: write it out"
    else:
        for pointer, problem in target_problems(transport, target):
            yield f"/target{pointer}", problem


def _is_hidden(value: Any) -> bool:
    return isinstance(value, str) and HIDDEN in value
