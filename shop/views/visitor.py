"""What a visitor's session keeps besides the basket."""

from __future__ import annotations

from uuid import uuid4

from django.http import HttpRequest

OWNER = "shop.owner"
DETAILS = "shop.details"


def owner_of(request: HttpRequest) -> str:
    """Who may ask about an intent: stable for the session, unlike its key."""
    if OWNER not in request.session:
        request.session[OWNER] = uuid4().hex
    owner: str = request.session[OWNER]
    return owner


def known_owner(request: HttpRequest) -> str | None:
    """The owner if this visitor has bought before; it begins no session."""
    owner: str | None = request.session.get(OWNER)
    return owner


def kept_details(request: HttpRequest) -> dict[str, str]:
    """What was typed before a payment failed, so that nobody types it twice."""
    details: dict[str, str] = request.session.get(DETAILS, {})
    return details


def keep_details(request: HttpRequest, details: dict[str, str]) -> None:
    request.session[DETAILS] = details


def forget_details(request: HttpRequest) -> None:
    request.session.pop(DETAILS, None)
