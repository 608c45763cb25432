"""Posts letters without router or database: the transport alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from router.contract.signing import make_secret
from router.transports.base import Answer, Request, Terms
from router.transports.webhook.request import Receiver
from router.transports.webhook.transport import WebhookTransport
from tests.integration.events import event

#: A busy machine may take seconds to answer.
DEADLINE_SECONDS = 10.0
#: Of what never answers.
SHORT_DEADLINE_SECONDS = 2.0
#: What a busy machine may add to a deadline.
SLACK_SECONDS = 8.0


def letter(key: int = 1, **data: Any) -> Request:
    return Request(
        key=key,
        event=event("thing.happened", {"n": key, **data}),
        webhook_id=f"msg_{key}",
        attempt=1,
        origin="live",
    )


def a_receiver(url: str, **custom_headers: str) -> Receiver:
    return Receiver(url=url, secrets=(make_secret(),), custom_headers=custom_headers)


def terms(**changes: Any) -> Terms:
    defaults: dict[str, Any] = {
        "in_flight": 100,
        "rate": None,
        "deadline_seconds": DEADLINE_SECONDS,
        "ends_at": time.monotonic() + 30,
    }
    return Terms(**{**defaults, **changes})


def post_to(
    url: str,
    count: int = 1,
    custom_headers: Mapping[str, str] | None = None,
    **changes: Any,
) -> list[Answer]:
    """Post so many letters there; the answers in the order of the letters."""
    transport = WebhookTransport(
        a_receiver(url, **custom_headers or {}), terms(**changes)
    )
    letters = [letter(key) for key in range(1, count + 1)]
    answers = [each for wave in transport.send(letters) for each in wave]
    return sorted(answers, key=lambda answer: answer.key)
