"""What a person or a client may set as the target of a foreign router."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from django.db import transaction
from django.utils import timezone

from router.conf import conf
from router.contract.errors import InvalidSubscriber, named
from router.contract.event import Event
from router.contract.masking import HIDDEN, masked_target
from router.contract.outcomes import Dead, Retry
from router.flow import audit
from router.models import Transport
from router.transports.base import Request, Terms
from router.transports.batches import BatchTransport
from router.transports.handler import TEST_TYPE
from router.transports.kinds import KINDS, target_problems

#: The transports of subscribers that people manage.
MANAGED = (Transport.WEBHOOK, Transport.PULL, *map(Transport, KINDS))
TRY_SECONDS = 10.0
NOT_KEPT = (
    f"has {HIDDEN} in place of a secret: write it out; a secret is kept only while the "
    "address stays"
)
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
            yield f"/target/{name}", NOT_KEPT
    else:
        for pointer, problem in target_problems(transport, target):
            yield f"/target{pointer}", problem


def try_target(
    transport: str, target: Mapping[str, Any], *, by: str, reason: str = ""
) -> str | None:
    """Send an event of type `router.test` there now, without a subscriber.

    Returns why it was not confirmed, or None when it was. It is not in the log. Raises
    `InvalidSubscriber` for a target that is not valid.
    """
    problems = list(problems_of_target({"transport": transport, "target": target}))
    if transport not in KINDS:
        problems = [("/transport", "has no target to try: save it, and test it then")]
    if problems:
        raise InvalidSubscriber(f"{named(problems)}.", problems=problems)
    event = Event(
        id=str(uuid.uuid4()),
        source=conf().own_source,
        type=TEST_TYPE,
        time=timezone.now(),
        data={},
    )
    with transaction.atomic():
        audit.note("target.tried", f"target of {transport}", by=by, reason=reason)
    sending = BatchTransport(transport, target, _terms())
    [answer] = chain.from_iterable(sending.send([Request(key=0, event=event)]))
    if isinstance(answer.outcome, Retry | Dead):
        return answer.outcome.evidence.error
    return None


def _terms() -> Terms:
    """A person waits for it."""
    return Terms(
        in_flight=1,
        rate=None,
        deadline_seconds=TRY_SECONDS,
        ends_at=time.monotonic() + 2 * TRY_SECONDS,
    )


def _is_hidden(value: Any) -> bool:
    return isinstance(value, str) and HIDDEN in value
