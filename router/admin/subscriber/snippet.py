"""How to add the same subscriber by code, or over the API."""

from __future__ import annotations

import json
import pprint
import shlex
from collections.abc import Iterator
from typing import Any

from router.models import OnDead, Ordering, Subscriber, Transport


def snippet(subscriber: Subscriber) -> str:
    """Python that declares a handler; a call of the API for any other transport.

    Without secrets: headers are left out, and hidden parts of addresses stay hidden.
    """
    if subscriber.transport == Transport.HANDLER:
        return _declaration(subscriber)
    body = json.dumps(_body(subscriber), indent=2, ensure_ascii=False)
    return (
        'curl "$SITE/api/subscribers/" \\\n'
        '  -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" \\\n'
        f"  -d {shlex.quote(body)}"
    )


def _declaration(subscriber: Subscriber) -> str:
    arguments = "\n".join(f"    {line}" for line in _arguments(subscriber))
    function = subscriber.name.replace("-", "_")
    return (
        "from router.public import Event, subscriber\n\n\n"
        f"@subscriber(\n{arguments}\n)\n"
        f"def {function}(event: Event) -> None:\n    ...\n"
    )


def _arguments(subscriber: Subscriber) -> Iterator[str]:
    yield f"{json.dumps(subscriber.name)},"
    yield f"events={json.dumps(subscriber.events, ensure_ascii=False)},"
    yield f"title={json.dumps(subscriber.title, ensure_ascii=False)},"
    if subscriber.filter:
        yield f"filter={pprint.pformat(subscriber.filter, width=70)},"
    if subscriber.dataschemas:
        yield f"dataschemas={pprint.pformat(subscriber.dataschemas, width=70)},"
    if subscriber.ordering != Ordering.NONE:
        yield f"ordering={json.dumps(subscriber.ordering)},"
        if subscriber.on_dead != OnDead.HOLD:
            yield f"on_dead={json.dumps(subscriber.on_dead)},"
    if not subscriber.is_transactional:
        yield "is_transactional=False,"
    if subscriber.is_safe_concurrently:
        yield "is_safe_concurrently=True,"


def _body(subscriber: Subscriber) -> dict[str, Any]:
    given = {
        "name": subscriber.name,
        "title": subscriber.title,
        "transport": subscriber.transport,
        "url": subscriber.url,
        "target": subscriber.target,
        "events": subscriber.events,
        "filter": subscriber.filter,
        "dataschemas": subscriber.dataschemas,
        "rate_per_second": subscriber.rate_per_second,
        "in_flight_limit": subscriber.in_flight_limit,
        "waits_seconds": subscriber.waits_seconds,
        "max_failures": subscriber.max_failures,
        "alert_rules": subscriber.alert_rules,
    }
    if subscriber.is_ordered:
        given |= {"ordering": subscriber.ordering, "on_dead": subscriber.on_dead}
    return {name: value for name, value in given.items() if value not in ("", None, {})}
