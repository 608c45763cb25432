"""Which URLs webhooks may be posted to; asked at save, and again at every attempt.

It resolves no name: where a name leads is looked at when it is resolved.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from urllib.parse import quote

from yarl import URL

from router.conf import conf
from router.contract.masking import is_masked
from router.transports.webhook.addresses import address_problem, parse

MAX_URL_LENGTH = 2000
MAX_HOST_LENGTH = 253
# Parsers disagree about each of these, and what they disagree about leads inside.
UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff\\]")
HOST = re.compile(
    r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
# What resolvers read as an IPv4 address: 2130706433, 0x7f.1, 0177.0.0.1.
NUMERIC_END = re.compile(r"(^|\.)(\d+|0x[0-9a-f]*)$")
#: Below this, ports belong to protocols that are none of HTTP's business.
FIRST_FREE_PORT = 1024
WEB_PORTS = (80, 443)


#: Scheme, authority, and the rest.
PARTS = re.compile(r"([^:/?#]*://)?([^/?#]*)(.*)", re.DOTALL)


def encoded(text: str) -> str:
    """The URL in ASCII: what is ASCII stays byte for byte, the host becomes IDNA, the
    rest percent-encoded UTF-8. Raises `ValueError` for a host that is not a name."""
    if text.isascii():
        return text
    scheme, authority, rest = _parts(text)
    host = authority if authority.isascii() else URL(f"//{authority}").raw_authority
    return f"{scheme}{host}{quote(rest, safe=string.printable)}"


def wire_url(text: str) -> URL:
    """The URL exactly as it is sent: receivers tell `%2F` from `/`, and `%7e` from `~`.

    Raises `ValueError` for what is not a URL.
    """
    return URL(encoded(text), encoded=True)


def url_problem(url: str) -> str | None:
    """Why nothing may be posted there, and what to give instead; None when it may."""
    return next(_problems(url), None)


def is_plain(url: URL) -> bool:
    """Whether it goes without TLS."""
    return url.scheme == "http"


def spelling_problem(url: str) -> str | None:
    """Why this URL could not be sent exactly as it is written; None when it can."""
    if is_masked(url):
        return (
            "The URL has a …, which stands for a hidden part: send the whole URL, or "
            "leave it out to keep the present one."
        )
    if url.endswith("?") and url.count("?") == 1:
        return "The URL ends with a ? and no query: leave the ? out."
    return None


def _problems(text: str) -> Iterator[str]:
    if not text:
        yield "There is no URL: give the address that webhooks are posted to."
        return
    if len(text) > MAX_URL_LENGTH:
        yield f"The URL is longer than {MAX_URL_LENGTH} characters."
        return
    if UNSAFE.search(text):
        yield "The URL has a space, a backslash or a control character: encode it."
        return
    try:
        url = wire_url(text)
        host = (url.raw_host or "").lower()
        port = url.port
    except ValueError:
        yield "This is not a URL. It looks like https://example.com/webhooks."
        return
    yield from _shape_problems(url, text)
    yield from _port_problems(port)
    yield from _host_problems(host, is_plain=is_plain(url))


def _shape_problems(url: URL, text: str) -> Iterator[str]:
    if url.scheme not in ("http", "https"):
        yield "The URL must begin with https://."
    if "@" in _parts(text)[1]:
        yield "The URL must not carry a user or password: use a custom header."
    if "#" in text:
        yield "The URL must not have a fragment (#): leave it out."


def _parts(text: str) -> tuple[str, str, str]:
    parts = PARTS.match(text)
    return (parts[1] or "", parts[2], parts[3]) if parts else ("", "", text)


def _port_problems(port: int | None) -> Iterator[str]:
    if port is None or (port < FIRST_FREE_PORT and port not in WEB_PORTS):
        yield (
            f"Port {port} is not one for webhooks: use 443, or one from "
            f"{FIRST_FREE_PORT} up."
        )


def _host_problems(host: str, *, is_plain: bool) -> Iterator[str]:
    allowed = conf().webhook_allowed_networks
    if _is_this_machine(host) and not any(each.is_loopback for each in allowed):
        yield (
            f"{host} is this machine itself: list 127.0.0.0/8 in "
            "WEBHOOK_ALLOWED_NETWORKS where that is meant."
        )
    elif parse(host) is not None:
        problem = address_problem(host, is_plain=is_plain)
        if problem is not None:
            yield problem
    elif host.endswith("."):
        yield "The host ends with a dot: leave it out."
    elif NUMERIC_END.search(host):
        yield f"{host} is not an address: write it as four numbers from 0 to 255."
    elif len(host) > MAX_HOST_LENGTH or not HOST.fullmatch(host):
        yield "The URL's host is not a valid name."
    elif is_plain and not allowed:
        yield (
            "The URL must begin with https://; plain http is for the networks that "
            "WEBHOOK_ALLOWED_NETWORKS lists."
        )


def _is_this_machine(host: str) -> bool:
    address = parse(host)
    is_local_name = host == "localhost" or host.endswith(".localhost")
    return is_local_name or (address is not None and address.is_loopback)
