"""One event, ready to be posted: its body, its headers and its signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from yarl import URL

from router.contract.json_text import dumped
from router.contract.masking import MIN_SCRUBBED, masked, secrets_in
from router.contract.signing import signed_headers
from router.transports.base import Request
from router.transports.webhook.headers import merge_headers
from router.transports.webhook.urls import wire_url

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
USER_AGENT = "Fanfare/1 (+https://www.standardwebhooks.com)"


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Where webhooks are posted to, and what proves that they are the router's."""

    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    custom_headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def wire_url(self) -> URL:
        """The address as it is sent. Raises `ValueError`."""
        return wire_url(self.url)

    @cached_property
    def shown_url(self) -> str:
        return masked(self.url)

    @cached_property
    def secret_texts(self) -> tuple[str, ...]:
        """What an answer or an error must not be kept with."""
        values = self.custom_headers.values()
        # Of `Bearer TOKEN` the token alone as well.
        texts = (text for one in values for text in (one, one.partition(" ")[2]))
        long = (text for text in texts if len(text) >= MIN_SCRUBBED)
        return (*secrets_in(self.url), *long)


@dataclass(frozen=True, kw_only=True)
class SignedRequest:
    """The bytes and headers of one attempt, and what of it people may see."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    shown: Mapping[str, Any]

    @property
    def signatures(self) -> tuple[str, ...]:
        """Each without its version; for some minutes it proves the body genuine."""
        signed = self.headers["webhook-signature"].split()
        return tuple(one.partition(",")[2] for one in signed)


def sign(
    request: Request, receiver: Receiver, *, at: datetime, traceparent: str = ""
) -> SignedRequest:
    """Write and sign the request, as of now: receivers refuse an old signature."""
    body = dumped(request.event.to_cloudevent())
    own = {
        "content-type": CONTENT_TYPE,
        "user-agent": USER_AGENT,
        "accept-encoding": "identity",
        **signed_headers(
            body, webhook_id=request.webhook_id, at=at, secrets=receiver.secrets
        ),
        "router-attempt": str(request.attempt),
        "router-origin": request.origin,
        "router-position": str(request.position),
        **({"traceparent": traceparent} if traceparent else {}),
    }
    headers, shown = merge_headers(own, receiver.custom_headers)
    return SignedRequest(
        body=body.encode(),
        headers=headers,
        shown={"url": receiver.shown_url, "headers": shown},
    )
