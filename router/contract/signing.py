"""Signatures of webhooks, by the Standard Webhooks specification."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from standardwebhooks import Webhook

PREFIX = "whsec_"
# The specification asks for 24 to 64 bytes.
SECRET_BYTES = 32


def make_secret() -> str:
    """A new random secret, `whsec_…`."""
    random = secrets.token_bytes(SECRET_BYTES)
    return PREFIX + base64.b64encode(random).decode()


def webhook_id(source: str, event_id: str) -> str:
    """The `webhook-id` of the event with this source and id, `msg_` and 32 hex digits.

    It depends on nothing else: a database restored from a backup gives the row numbers
    of lost events to new ones, and a receiver must not learn how many events there are.
    """
    # JSON keeps the two apart, whatever characters they contain.
    pair = json.dumps([source, event_id]).encode()
    return f"msg_{hashlib.sha256(pair).hexdigest()[:32]}"


def signed_headers(
    body: str, *, webhook_id: str, at: datetime, secrets: Iterable[str]
) -> dict[str, str]:
    """The three headers that prove this body, with a signature by each secret.

    `at` is aware; receivers refuse what is minutes old, so sign at each attempt.
    """
    # The library reads an aware time of another zone as if it were UTC.
    moment = at.astimezone(UTC)
    signatures = [_signer(key).sign(webhook_id, moment, body) for key in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


@lru_cache(maxsize=256)
def _signer(secret: str) -> Webhook:
    return Webhook(secret)
