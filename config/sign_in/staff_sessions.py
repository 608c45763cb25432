"""A session of staff ends when it was idle for long, and after a working day.

Customers' sessions, which hold a basket, last as long as Django's setting says.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import SessionBase
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

SIGNED_IN, SEEN = "staff_signed_in", "staff_seen"
#: Activity is written to the session once in so long.
NOTE_SECONDS = 60


class StaffSessionMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        account = request.user
        # Lazily: a page that asks for no account reads no session.
        request.user = SimpleLazyObject(lambda: _current(request, account))  # type: ignore[assignment]
        response = self.get_response(request)
        if getattr(request, "has_session_ended", False) and _is_poll(request):
            # A part of a page can't show the sign-in: the whole page is loaded again.
            return HttpResponse(headers={"HX-Refresh": "true"})
        return response


@receiver(user_logged_in, dispatch_uid="config.staff_sessions")
def begin(sender: type, request: HttpRequest, **_: Any) -> None:
    request.session[SIGNED_IN] = request.session[SEEN] = int(time.time())


def _current(request: HttpRequest, account: Any) -> Any:
    if not account.is_staff:
        return account
    if _is_over(request.session):
        request.session.flush()
        request.has_session_ended = True  # type: ignore[attr-defined]  # ours
        return AnonymousUser()
    if not _is_poll(request) and time.time() - request.session[SEEN] > NOTE_SECONDS:
        request.session[SEEN] = int(time.time())
    return account


def _is_over(session: SessionBase) -> bool:
    now = time.time()
    # A session of an older release begins now.
    signed_in, seen = (
        session.setdefault(SIGNED_IN, int(now)),
        session.setdefault(SEEN, int(now)),
    )
    is_idle = now - seen > settings.STAFF_SESSION_IDLE_SECONDS
    return bool(is_idle or now - signed_in > settings.STAFF_SESSION_MAXIMUM_SECONDS)


def _is_poll(request: HttpRequest) -> bool:
    """An open page asks by itself: that is no activity of a person."""
    return request.headers.get("HX-Request") == "true"
