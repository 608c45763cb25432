"""What a span has beside its name and its times.

Attributes are names and numbers of the router's own. Subject, id and data of an event,
the address of a request and the message of an error are none: they may name a customer,
and the path of an order is the key to it.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.trace import StatusCode

from router.contract.outcomes import Acknowledged, Exchange, Outcome, Retry
from router.tracing.span import Sent


def is_first_of(request: Sent) -> bool:
    return request.attempt == 1 and not request.is_again


def messaging(operation: str, kind: str = "") -> dict[str, Any]:
    return {
        "messaging.system": "fanfare",
        "messaging.operation.name": operation,
        **({"messaging.operation.type": kind} if kind else {}),
    }


def of_type(event_type: str) -> dict[str, Any]:
    return {
        "messaging.destination.name": event_type,
        "cloudevents.event_type": event_type,
    }


def of_subscriber(name: str) -> dict[str, Any]:
    return {"messaging.destination.subscription.name": name}


def of_request(request: Sent) -> dict[str, Any]:
    return {
        **messaging("send", "send"),
        **of_type(request.event.type),
        **of_subscriber(request.subscriber),
        "messaging.message.id": request.webhook_id,
    }


def note_outcome(span: trace.Span, outcome: Outcome | None) -> None:
    name = "not begun" if outcome is None else type(outcome).__name__.lower()
    span.set_attribute("router.outcome", name)
    if outcome is None:
        return
    if isinstance(outcome, Acknowledged):
        _note_status(span, outcome.exchange)
        return
    _note_status(span, outcome.evidence.exchange)
    if not (isinstance(outcome, Retry) and outcome.is_asked):
        note_error(span, outcome.evidence.kind)


def _note_status(span: trace.Span, exchange: Exchange | None) -> None:
    if exchange is not None and exchange.status is not None:
        span.set_attribute("http.response.status_code", exchange.status)


def note_error(span: trace.Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
