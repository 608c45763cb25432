"""Every address of the portal but the link itself: no cookie, no answer.

A view gets a `Visit`, whose endpoint, delivery and key were found through the door: it
never sees an id that the browser sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from http import HTTPStatus
from typing import Any, TypeVar

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from router.models import ApiKey, Delivery
from router.portal.door import Endpoint, Portal
from router.portal.entry import guard, has_form_token, portal_of
from router.portal.look import shown

READS, WRITES = ("GET", "HEAD"), ("POST",)


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request of an owner, with what its address names."""

    request: HttpRequest
    portal: Portal
    _endpoint: Endpoint | None = None
    _delivery: Delivery | None = None
    _key: ApiKey | None = None

    @property
    def by(self) -> str:
        """The owner in the audit."""
        return self.portal.actor

    @property
    def endpoint(self) -> Endpoint:
        return _named(self._endpoint)

    @property
    def delivery(self) -> Delivery:
        return _named(self._delivery)

    @property
    def key(self) -> ApiKey:
        return _named(self._key)


Found = TypeVar("Found")
View = Callable[[Visit], HttpResponse]


def page(route: str, view: View, name: str) -> URLPattern:
    """An address that shows."""
    return path(route, _guarded(view, READS), name=name)


def act(route: str, view: View, name: str) -> URLPattern:
    """An address that changes something, for the portal's own forms alone."""
    return path(route, _guarded(view, WRITES), name=name)


def _guarded(view: View, methods: tuple[str, ...]) -> Callable[..., HttpResponse]:
    # The form's own token takes the place of Django's: see `entry.form_token`.
    @csrf_exempt
    @sensitive_variables()
    def respond(request: HttpRequest, **named: Any) -> HttpResponse:
        with timezone.override(UTC):
            return guard(_answer(view, methods, request, named))

    return respond


def _answer(
    view: View,
    methods: tuple[str, ...],
    request: HttpRequest,
    named: Mapping[str, Any],
) -> HttpResponse:
    portal = portal_of(request)
    if portal is None:
        return shown("closed", status=HTTPStatus.FORBIDDEN)
    if request.method not in methods:
        return HttpResponseNotAllowed(methods)
    if methods is WRITES and not has_form_token(request, portal):
        return shown("stale", portal, status=HTTPStatus.FORBIDDEN)
    try:
        return view(_visit(request, portal, **named))
    except Http404:
        return shown("missing", portal, status=HTTPStatus.NOT_FOUND)


def _visit(
    request: HttpRequest,
    portal: Portal,
    *,
    name: str | None = None,
    delivery: int | None = None,
    key: int | None = None,
) -> Visit:
    """Raises `Http404` for what the link does not open."""
    if name is None:
        return Visit(request=request, portal=portal)
    endpoint = portal.endpoint(name)
    return Visit(
        request=request,
        portal=portal,
        _endpoint=endpoint,
        _delivery=None if delivery is None else endpoint.delivery(delivery),
        _key=None if key is None else endpoint.key(key),
    )


def _named(found: Found | None) -> Found:
    if found is None:
        raise LookupError("The address of this view does not name it.")
    return found
