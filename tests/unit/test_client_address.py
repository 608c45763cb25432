"""The client's address is read where only our own proxies can have written it."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse

from config.web.client_address import ClientAddressMiddleware, client_address

PROXY = "10.0.0.2"


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        # Without a proxy the header is the client's own invention.
        ("192.0.2.9", 0, PROXY),
        ("192.0.2.9", 1, "192.0.2.9"),
        # A client sent the first entry; the proxy appended the second.
        ("198.51.100.1, 192.0.2.9", 1, "192.0.2.9"),
        ("198.51.100.1, 192.0.2.9, 203.0.113.5", 2, "192.0.2.9"),
        # Fewer entries than proxies: the request came in behind the first proxy.
        ("192.0.2.9", 2, "192.0.2.9"),
        # A health check comes past the proxy.
        ("", 1, PROXY),
        (" , ", 1, PROXY),
        ("unknown", 1, PROXY),
        ("192.0.2.9 OR 1=1", 1, PROXY),
        # One client has one spelling.
        ("::ffff:192.0.2.9", 1, "192.0.2.9"),
        ("2001:DB8:0::1", 1, "2001:db8::1"),
    ],
)
def test_only_the_entries_of_trusted_proxies_count(
    forwarded: str, proxies: int, address: str
) -> None:
    assert client_address(PROXY, forwarded, proxies=proxies) == address


def test_every_view_reads_the_client_s_address_as_its_peer(settings: object) -> None:
    settings.TRUSTED_PROXIES = 1  # type: ignore[attr-defined]
    request = HttpRequest()
    request.META = {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_FOR": "192.0.2.9"}
    seen = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request.META["REMOTE_ADDR"])
        return HttpResponse()

    ClientAddressMiddleware(view)(request)

    assert seen == ["192.0.2.9"]
