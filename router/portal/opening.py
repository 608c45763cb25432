"""The link itself: the one address of the portal that contains a secret.

A GET uses nothing up, so that a mail scanner may fetch the link; the button on its page
does, and leads to an address without the token. What is left in a log or a history
opens nothing more.
"""

from __future__ import annotations

from http import HTTPStatus

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from router.operate.portal_links import is_link_of, is_to_open, open_link
from router.portal.door import Portal
from router.portal.entry import guard, let_in, portal_of
from router.portal.look import shown

METHODS = ("GET", "HEAD", "POST")


@csrf_exempt
@sensitive_variables()
def open_portal(request: HttpRequest, token: str) -> HttpResponse:
    """Exchange the token for a cookie, once. The token is its own proof: there is no
    session yet that another site could use."""
    response = guard(_answer(request, token))
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@sensitive_variables()
def _answer(request: HttpRequest, token: str) -> HttpResponse:
    if request.method not in METHODS:
        return HttpResponseNotAllowed(METHODS)
    if request.method == "POST" and _is_from_here(request):
        link = open_link(token)
        if link is not None:
            response = HttpResponseRedirect(reverse("router:portal"))
            let_in(response, Portal(link), is_secure=request.is_secure())
            return response
    inside = portal_of(request)
    if inside and is_link_of(inside.link, token):
        return HttpResponseRedirect(reverse("router:portal"))
    if is_to_open(token):
        return shown("open")
    return shown("closed", status=HTTPStatus.FORBIDDEN)


def _is_from_here(request: HttpRequest) -> bool:
    """Whether no other site sent the form, to let its visitor into a portal of its own;
    browsers too old to say so pass."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
