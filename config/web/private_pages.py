"""Headers that keep the pages of one person out of search engines and caches."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_cache_control

PRIVATE = (
    "/account/",
    "/admin/",
    "/basket/",
    "/checkout/",
    "/mail/",
    "/orders/",
    "/portal/",
    "/sales/",
)
#: The address alone opens these pages, so no other site may get it as a referrer. They
#: can't have a form that posts: a browser that sends no referrer sends `Origin: null`
#: with the form, and Django refuses that.
SECRET_ADDRESS = re.compile(r"/(orders|checkout|account/orders)/.")


class PrivatePagesMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith(PRIVATE):
            response.headers["X-Robots-Tag"] = "noindex, nofollow"
            patch_cache_control(response, no_store=True, private=True)
        if SECRET_ADDRESS.match(request.path):
            response.headers["Referrer-Policy"] = "no-referrer"
        return response
