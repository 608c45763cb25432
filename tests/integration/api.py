"""What the API's tests send, and how they read a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any
from uuid import uuid4

from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from router.models import ApiKey, Scope, Subscriber

STRUCTURED = "application/cloudevents+json"
JSON = "application/json"
Call = Callable[..., Any]
Get = Callable[..., Any]
Post = Callable[..., Any]
ERP = {"name": "erp", "transport": "pull", "events": ["ticket.*"]}
HOOK = {
    "name": "crm",
    "transport": "webhook",
    "url": "https://crm.example.com/hooks",
    "events": ["ticket.sold"],
}


@cache
def description() -> dict[str, Any]:
    """What the API says of itself; to make it takes a third of a second."""
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


def a_key(*scopes: str, **bindings: Any) -> str:
    """The text of a new API key, with every scope unless scopes are named."""
    name = f"key {uuid4().hex}"
    return ApiKey.make(name, scopes=list(scopes or Scope), **bindings)[1]


def send(
    client: Client,
    method: str,
    path: str,
    body: Any = None,
    *,
    key: str = "",
    content_type: str = JSON,
    **headers: str,
) -> Any:
    """Send a body, encoded as JSON where it is no text, with an API key.

    A path is below `/api/` if it does not begin with a slash.
    """
    if body is None:
        body = ""
    return client.generic(
        method,
        path if path.startswith("/") else f"/api/{path}",
        body if isinstance(body, str | bytes) else json.dumps(body),
        content_type=content_type,
        headers={"Authorization": f"Bearer {key}", **headers},
    )


def an_envelope(**attributes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "a-1",
        "source": "/partner",
        "type": "parcel.lost",
        "data": {"parcel": 7},
        **attributes,
    }


def assert_problem(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"] == "about:blank"
    assert body["title"]
    errors = body.get("errors", ())
    for detail in (body["detail"], *(error["detail"] for error in errors)):
        assert detail.rstrip(".") + "." == detail
        assert ".; " not in detail
    return body


def pointers(response: Any, status: int = 422) -> list[str]:
    return [error["pointer"] for error in assert_problem(response, status)["errors"]]


def the(name: str) -> Subscriber:
    return Subscriber.objects.known().get(name=name)
