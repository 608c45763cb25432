"""One event, ready to be posted: its body, its headers and its signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from router.contract.event import Event
from router.contract.json_text import dumped
from router.contract.signing import signed_headers
from router.transports.webhook.headers import together
from router.transports.webhook.urls import wire_url

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
USER_AGENT = "Fanfare/1 (+https://www.standardwebhooks.com)"


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Where webhooks are posted to, and what proves that they are the router's."""

    url: str
    secrets: tuple[str, ...] = field(repr=False)
    custom_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """An event on its way to a receiver.

    `key` is the sender's own, to know the answer by; `webhook_id` is the same on every
    attempt and replay, receivers recognise doubles by it; `attempt` counts from 1,
    `origin` is why it is owed.
    """

    key: int
    event: Event
    webhook_id: str
    attempt: int
    origin: str


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """The bytes and headers of one attempt, and what of it people may see."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    shown: Mapping[str, Any]


def seal(letter: Letter, receiver: Receiver, *, at: datetime) -> Sealed:
    """Write and sign the letter, as of now: receivers refuse an old signature."""
    body = dumped(letter.event.to_cloudevent())
    own = {
        "content-type": CONTENT_TYPE,
        "user-agent": USER_AGENT,
        "accept-encoding": "identity",
        **signed_headers(
            body, webhook_id=letter.webhook_id, at=at, secrets=receiver.secrets
        ),
        "router-attempt": str(letter.attempt),
        "router-origin": letter.origin,
    }
    headers, shown = together(own, receiver.custom_headers)
    return Sealed(
        body=body.encode(),
        headers=headers,
        shown={"url": shown_url(receiver.url), "headers": shown},
    )


def shown_url(url: str) -> str:
    """The address as people may see it: what a query carries is often a password."""
    address = wire_url(url)
    return str(address.with_query(None)) + ("?…" if address.raw_query_string else "")
