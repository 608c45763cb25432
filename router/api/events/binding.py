"""What an API key may publish, and make or change: within what it is bound to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q

from router.api.http.exceptions import NotBound
from router.contract.filters import is_covered
from router.db.patterns import within
from router.models import ApiKey, Subscriber
from router.operate.subscribers import DEFAULTS

#: Field of a subscriber → what of a key its patterns lie within.
WITHIN = {
    "events": "types",
    "allowed_types": "types",
    "allowed_sources": "sources",
}


def refuse_unbound(
    key: ApiKey, *events: Mapping[str, Any], is_batch: bool = False
) -> None:
    """Check the arguments of `publish` for each event against the key.

    Raises `NotBound` with a pointer to each source and type that it is not bound to.
    """
    problems = [
        (f"/{index}/{name}" if is_batch else f"/{name}", _unpublished(key, name))
        for index, event in enumerate(events)
        for name in key.unbound(source=event["source"], event_type=event["type"])
    ]
    if problems:
        told = ", ".join(pointer for pointer, _ in problems[:5])
        raise NotBound(
            f"This API key is bound to other events: {told}.", problems=problems
        )


def limited(key: ApiKey, name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is wanted of a new subscriber, which may hear no more than the key's own.

    Raises `NotBound`.
    """
    if not key.may_touch(name):
        told = f"is not this key's to create; it may be: {_named(key, 'subscribers')}"
        raise NotBound(f"/name {told}.", problems=[("/name", told)])
    limits = {"allowed_types": key.patterns("types")}
    limits["allowed_sources"] = key.patterns("sources")
    fields = {"events": DEFAULTS["events"], **limits, **wanted}
    refuse_wider(key, fields)
    if not fields["allowed_sources"]:
        raise NotBound(
            "This API key is bound to no source: a subscriber that it creates would "
            "hear nothing. Ask for a key with `--sources`."
        )
    return fields


def refuse_wider(key: ApiKey, wanted: Mapping[str, Any]) -> None:
    """Raises `NotBound` with a pointer to each pattern beyond the key's own."""
    problems = [
        (f"/{field}/{index}", f"is beyond this key; it may be: {_named(key, kind)}")
        for field, kind in WITHIN.items()
        for index, pattern in enumerate(wanted.get(field, ()))
        if not is_covered(pattern, key.patterns(kind))
    ]
    if problems:
        told = ", ".join(pointer for pointer, _ in problems[:5])
        raise NotBound(
            f"This API key is bound to other events: {told}.", problems=problems
        )


def refuse_change(key: ApiKey, subscriber: Subscriber) -> None:
    """Raises `NotBound` where the subscriber may hear more than the key."""
    if not key.may_change(subscriber):
        raise NotBound(
            f"The subscriber {subscriber.name} may hear more than this API key is "
            f"bound to: types {_joined(subscriber.allowed_types)} of sources "
            f"{_joined(subscriber.allowed_sources)}, where the key is bound to types "
            f"{_named(key, 'types')} of sources {_named(key, 'sources')}. Use a key "
            "that is bound to no less."
        )


def refuse_reception(key: ApiKey, subscriber: Subscriber) -> None:
    """Raises `NotBound` where the key may see the subscriber, but not its events."""
    if not key.may_receive(subscriber):
        refuse_change(key, subscriber)


def receivers_of(key: ApiKey) -> Q:
    """Rows of the subscribers that the key may receive for."""
    named = key.patterns("subscribers")
    if not (key.types or key.sources):
        return within("subscriber__name", named)
    rows = Subscriber.objects.filter(within("name", named)).defer("custom_headers")
    return Q(subscriber__in=[one.pk for one in rows if key.may_receive(one)])


def _unpublished(key: ApiKey, name: str) -> str:
    return f"is not this key's to publish; it may publish: {_named(key, f'{name}s')}"


def _named(key: ApiKey, kind: str) -> str:
    return _joined(key.patterns(kind))


def _joined(patterns: Iterable[str]) -> str:
    return ", ".join(patterns) or "none"
