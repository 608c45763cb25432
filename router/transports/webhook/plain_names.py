"""Where a name leads that is to be posted to without TLS, asked at save."""

from __future__ import annotations

from router.transports.webhook.addresses import AddressRefused, parse
from router.transports.webhook.event_loop import event_loop
from router.transports.webhook.resolver import CheckingResolver
from router.transports.webhook.urls import is_plain, url_problem, wire_url

#: The person who saves waits so long; later the name is looked at when it is used.
RESOLVING_SECONDS = 2.0


def plain_name_problem(url: str) -> str | None:
    """Why plain http must not go where this URL's name leads; None when it may.

    None too while the name cannot be resolved, and for any other URL. It waits for the
    name server: call it without holding a lock.
    """
    if url_problem(url) is not None or not is_plain(wire_url(url)):
        return None
    host = wire_url(url).raw_host or ""
    if parse(host) is not None:
        return None
    lookup = _resolve(host)
    try:
        event_loop().submit(lookup).result(RESOLVING_SECONDS)
    except AddressRefused as refusal:
        return str(refusal)
    except OSError:
        return None
    return None


async def _resolve(host: str) -> None:
    # The resolver belongs to the loop that it is made in.
    await CheckingResolver(is_plain=True).resolve(host)
