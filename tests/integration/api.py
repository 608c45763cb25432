"""What the API's tests send, and how they read a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STRUCTURED = "application/cloudevents+json"
Post = Callable[..., Any]


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
    for detail in (body["detail"], *(one["detail"] for one in body.get("errors", ()))):
        assert detail.rstrip(".") + "." == detail
        assert ".; " not in detail
    return body
