"""The subscriber that a path names, and who asks for it."""

from __future__ import annotations

from typing import cast

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from router.models import ApiKey, Subscriber


def find_subscriber(view: APIView, name: str) -> Subscriber:
    """The subscriber of this name, as far as the key is bound to it.

    Raises `NotFound` or `PermissionDenied`.
    """
    view.check_object_permissions(view.request, name)
    found = Subscriber.objects.known().filter(name=name).first()
    if found is None:
        raise NotFound(
            f"There is no subscriber named {name}. GET /api/subscribers/ lists the "
            "names."
        )
    return found


def actor(request: Request) -> str:
    """Who the audit says it was."""
    return f"key {key_of(request).name}"


def key_of(request: Request) -> ApiKey:
    """The key of a request that a permission of ours let in."""
    return cast(ApiKey, request.auth)
