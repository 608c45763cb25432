"""How often one network and one mail address may buy, counted in the table of intents.

The rows keep keyed digests, no address. All web processes see the same count, and a
restart forgets nothing. Checkouts at the same moment may pass the limit by a few.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from math import ceil

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from shop.conf import conf
from shop.models import CheckoutIntent
from shop.models.intent import LIVE

NETWORK_WINDOW = timedelta(minutes=10)
EMAIL_WINDOW = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """Digests of where a checkout comes from; empty where it is not known."""

    network_digest: str = ""
    email_digest: str = ""


def buyer(*, client_address: str, email: str) -> Buyer:
    return Buyer(
        network_digest=_digest(_network(client_address)),
        email_digest=_digest(_mailbox(email)),
    )


def wait_seconds(by: Buyer) -> int:
    """Seconds until this buyer may check out; 0 means now.

    Every checkout counts for its network, a declined card too. For a mail address only
    orders count: else declined cards could lock its owner out.
    """
    limits, intents = conf(), CheckoutIntent.objects
    of_network = intents.filter(network_digest=by.network_digest)
    of_email = intents.filter(email_digest=by.email_digest, state__in=LIVE)
    network_limit = limits.max_checkouts_per_network if by.network_digest else 0
    return max(
        _wait(of_network, network_limit, NETWORK_WINDOW),
        _wait(of_email, limits.max_orders_per_email, EMAIL_WINDOW),
    )


def _wait(begun: QuerySet[CheckoutIntent], limit: int, window: timedelta) -> int:
    """Seconds until fewer than `limit` lie within the window; a limit of 0 is none."""
    if not limit:
        return 0
    now = timezone.now()
    recent = begun.filter(created_at__gt=now - window).order_by("-created_at")
    times = recent.values_list("created_at", flat=True)[limit - 1 : limit]
    return max(
        (ceil((begun_at + window - now).total_seconds()) for begun_at in times),
        default=0,
    )


def _network(address: str) -> str:
    """An IPv4 address, or the /64 that one customer of a provider has."""
    try:
        known = ip_address(address)
    except ValueError:
        return ""
    if isinstance(known, IPv6Address):
        return known.exploded[:19]
    return str(known)


def _mailbox(email: str) -> str:
    """`Ada+shop@example.com` reaches the mailbox of `ada@example.com`."""
    local, _at, domain = email.lower().rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _digest(text: str) -> str:
    if not text:
        return ""
    mac = salted_hmac("shop.order_limits", text, algorithm="sha256")
    return mac.hexdigest()[:32]
