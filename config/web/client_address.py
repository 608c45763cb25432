"""The address of the client, where reverse proxies stand before the site.

A proxy appends the address of its own peer to `X-Forwarded-For`. Any client can send
that header too, so only as many entries count, from the right, as the site has proxies
(`TRUSTED_PROXIES`). Every reader of `REMOTE_ADDR` then gets the client's address.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponse

FORWARDED_FOR = "HTTP_X_FORWARDED_FOR"


class ClientAddressMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        peer = request.META.get("REMOTE_ADDR", "")
        forwarded = request.META.get(FORWARDED_FOR, "")
        request.META["REMOTE_ADDR"] = client_address(
            peer, forwarded, proxies=settings.TRUSTED_PROXIES
        )
        return self.get_response(request)


def client_address(peer: str, forwarded: str, *, proxies: int) -> str:
    """The address `proxies` steps beyond `peer`; `peer` where none can be read."""
    steps = [step.strip() for step in forwarded.split(",") if step.strip()]
    if not proxies or not steps:
        return peer
    try:
        address = ip_address(steps[-proxies:][0])
    except ValueError:
        return peer
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
