"""What the API key of a request reaches, and what it is refused.

What the key is not bound to is refused in the words of what does not exist: a key does
not learn which other subscribers there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from django.db.models import Q
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from router.api.http.exceptions import NotBound
from router.contract.filters import is_covered
from router.db.patterns import within
from router.models import FOREIGN, ApiKey, Delivery, FailedTask, Scope, Subscriber
from router.operate.subscribers import DEFAULTS

#: Field of a subscriber → what of a key its patterns lie within.
WITHIN = {
    "events": "types",
    "allowed_types": "types",
    "allowed_sources": "sources",
}


def find_subscriber(request: Request, name: str) -> Subscriber:
    """The subscriber of this name. Raises `NotFound`."""
    subscriber = Subscriber.objects.known().filter(name=name).first()
    if subscriber is None or not key_of(request).may_touch(name):
        raise NotFound(
            f"This API key reaches no subscriber named {name}. GET /api/subscribers/ "
            "lists those that a key with the scope `manage` reaches."
        )
    return subscriber


def find_receiver(request: Request, name: str) -> Subscriber:
    """The subscriber of this name, for which the key may receive. Raises `NotFound`,
    `NotBound`."""
    subscriber = find_subscriber(request, name)
    refuse_reception(key_of(request), subscriber)
    return subscriber


def find_delivery(request: Request, delivery_id: int) -> Delivery:
    """The delivery of this id. Raises `NotFound`."""
    rows = Delivery.objects.select_related("subscriber")
    delivery = rows.filter(pk=delivery_id).first()
    if delivery is None or not key_of(request).may_receive(delivery.subscriber):
        raise NotFound(
            f"This API key reaches no delivery {delivery_id}. GET "
            "/api/events/{number}/ lists those of an event."
        )
    return delivery


def find_failed_task(request: Request, task_id: int) -> FailedTask:
    """The failed task of this id. Raises `NotFound`."""
    rows = FailedTask.objects.select_related("subscriber").defer("traceback")
    task = rows.filter(pk=task_id).first()
    if task is None or not key_of(request).may_receive(task.subscriber):
        raise NotFound(
            f"This API key reaches no failed task {task_id}. GET /api/failed-tasks/ "
            "lists them."
        )
    return task


def actor(request: Request) -> str:
    """The name of the API key in the audit."""
    return f"key {key_of(request).name}"


def key_of(request: Request) -> ApiKey:
    """The API key of a request that has passed a permission."""
    return cast(ApiKey, request.auth)


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
        pointers = ", ".join(pointer for pointer, _ in problems[:5])
        raise NotBound(
            f"This API key is bound to other events: {pointers}.", problems=problems
        )


def limited(key: ApiKey, name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What is wanted of a new subscriber, which may receive no more than the key's own.

    Raises `NotBound`.
    """
    if not key.may_touch(name):
        names = _named(key, "subscribers")
        problem = f"is not this key's to create; it may be: {names}"
        raise NotBound(f"/name {problem}.", problems=[("/name", problem)])
    limits = {"allowed_types": key.patterns("types")}
    limits["allowed_sources"] = key.patterns("sources")
    fields = {"events": DEFAULTS["events"], **limits, **wanted}
    refuse_wider(key, fields)
    if not fields["allowed_sources"]:
        raise NotBound(
            "This API key is bound to no source: a subscriber that it creates would "
            "receive nothing. Ask for a key with `--sources`."
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
        pointers = ", ".join(pointer for pointer, _ in problems[:5])
        raise NotBound(
            f"This API key is bound to other events: {pointers}.", problems=problems
        )


def refuse_target(key: ApiKey, wanted: Mapping[str, Any]) -> None:
    """Raises `NotBound` for a foreign router, without the scope for it.

    The router connects to it from its own network, perhaps with the credentials of its
    own environment.
    """
    names_one = "target" in wanted or wanted.get("transport") in FOREIGN
    if names_one and Scope.TARGETS not in key.scopes:
        problem = f"may be named by a key with the scope `{Scope.TARGETS}` alone"
        raise NotBound(f"A foreign router {problem}.", problems=[("/target", problem)])


def refuse_change(key: ApiKey, subscriber: Subscriber) -> None:
    """Raises `NotBound` where the subscriber may receive more than the key."""
    if not key.may_change(subscriber):
        raise NotBound(
            f"The subscriber {subscriber.name} may receive more than this API key is "
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
    return Q(subscriber__in=[row.pk for row in rows if key.may_receive(row)])


def _unpublished(key: ApiKey, name: str) -> str:
    return f"is not this key's to publish; it may publish: {_named(key, f'{name}s')}"


def _named(key: ApiKey, kind: str) -> str:
    return _joined(key.patterns(kind))


def _joined(patterns: Iterable[str]) -> str:
    return ", ".join(patterns) or "none"
