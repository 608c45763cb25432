"""Owners of endpoints, each in a browser with an opened link."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.test import Client
from django.utils import timezone

from router.models import (
    Attempt,
    AttemptResult,
    Delivery,
    PortalLink,
    SigningSecret,
    Subscriber,
)
from router.operate.api_keys import issue_key
from router.operate.portal_links import create_portal_link
from router.operate.subscribers import create_subscriber
from tests.integration.rows import a_delivery, a_failed_task, an_event


@dataclass
class Owner:
    """A browser, the link that it opened, and what the forms of its pages send."""

    client: Client
    link: PortalLink
    form_token: str

    def get(self, path: str = "", **query: str) -> Any:
        return self.client.get(f"/portal/{path}", query)

    def post(self, path: str, **fields: Any) -> Any:
        body = {"form_token": self.form_token, **fields}
        return self.client.post(f"/portal/{path}", body)

    def text(self, path: str = "") -> str:
        page: str = self.get(path).content.decode()
        return page


def a_link(*rows: Subscriber, label: str = "Ada") -> tuple[PortalLink, str]:
    return create_portal_link(rows, label=label, by="test")


def an_owner(*rows: Subscriber, label: str = "Ada") -> Owner:
    """The link is opened as a person opens it."""
    link, token = a_link(*rows, label=label)
    client = Client()
    client.post(f"/portal/open/{token}/")
    page = client.get("/portal/").content.decode()
    found = re.search(r'name="form_token" value="(\w+)"', page)
    link.refresh_from_db()
    return Owner(client, link, found[1] if found else "")


@dataclass
class Things:
    """What one owner has: a webhook with a delivery, and a puller with a key."""

    who: str
    hook: Subscriber
    pull: Subscriber
    delivery: Delivery
    key_id: int

    @property
    def rows(self) -> Sequence[Subscriber]:
        return [self.hook, self.pull]

    @property
    def secret(self) -> str:
        secret: str = SigningSecret.objects.get(subscriber=self.hook).secret
        return secret


def things_of(who: str) -> Things:
    limits: dict[str, Any] = {
        "events": [f"{who}.*"],
        "allowed_types": [f"{who}.*"],
        "by": "test",
    }
    url = f"https://{who}.example/hook?token={who}-password"
    hook = create_subscriber(f"{who}-hook", transport="webhook", url=url, **limits)
    pull = create_subscriber(f"{who}-pull", transport="pull", **limits)
    event = an_event(type=f"{who}.thing", data={"of": f"{who}-data"})
    delivery = a_delivery(event, hook.subscriber, "DEAD", attempts=1, failures=1)
    an_attempt(delivery, answer=f"{who}-answer")
    a_failed_task(delivery)
    key, _ = issue_key(
        f"{who}-key",
        scopes=["consume"],
        by="test",
        bindings={"subscribers": [f"{who}-pull"]},
    )
    return Things(who, hook.subscriber, pull.subscriber, delivery, key.pk)


def an_attempt(delivery: Delivery, **fields: Any) -> Attempt:
    defaults: dict[str, Any] = {
        "number": 1,
        "result": AttemptResult.DEAD,
        "error": "HTTPError: 503",
        "http_status": 503,
        "duration_ms": 12.5,
        "ended_at": timezone.now(),
        "request": {"url": delivery.subscriber.url, "headers": {"webhook-id": "msg_1"}},
    }
    return Attempt.objects.create(delivery=delivery, **{**defaults, **fields})
