"""Webhooks as the router signs them, and forged ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from router.contract.signing import make_secret, signed_headers

SECRET, OLD_SECRET, OTHER_SECRET = make_secret(), make_secret(), make_secret()


def body_of(event_id: str) -> str:
    """A CloudEvent in structured mode; it has more than ASCII."""
    event = {"source": "/box-office", "id": event_id, "type": "ticket.sold"}
    return json.dumps({**event, "subject": "Zoë"}, ensure_ascii=False)


BODY = body_of("ticket-1")


def signed(
    webhook_id: str = "evt-1",
    *secrets: str,
    body: str = BODY,
    seconds_ago: float = 0,
) -> dict[str, str]:
    """The headers that prove this body."""
    at = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return signed_headers(
        body, webhook_id=webhook_id, at=at, secrets=secrets or [SECRET]
    )


def genuine() -> list[tuple[str, dict[str, str], str]]:
    unknown = signed()
    unknown["webhook-signature"] = f"v1a,x v2 {unknown['webhook-signature']}"
    return [
        (SECRET, signed(), BODY),
        (SECRET, signed("evt-1", OTHER_SECRET, SECRET), BODY),
        (SECRET, signed("evt-1", SECRET, OTHER_SECRET), BODY),
        (SECRET, signed(seconds_ago=240), BODY),
        (SECRET, unknown, BODY),
    ]


def forged() -> list[tuple[str, dict[str, str], str]]:
    good = signed()
    mac = good["webhook-signature"].removeprefix("v1,")
    changes: list[dict[str, str]] = [
        {"webhook-signature": ""},
        {"webhook-signature": mac},
        {"webhook-signature": f"v2,{mac}"},
        {"webhook-signature": f"v1,{mac}="},
        {"webhook-signature": "v1,é"},
        {"webhook-id": "evt-2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": ""},
    ]
    return [
        (SECRET, {}, BODY),
        (SECRET, good, f"{BODY} "),
        (SECRET, signed("evt-1", OTHER_SECRET), BODY),
        (SECRET, signed(seconds_ago=400), BODY),
        (SECRET, signed(seconds_ago=-400), BODY),
        *((SECRET, {**good, **change}, BODY) for change in changes),
    ]
