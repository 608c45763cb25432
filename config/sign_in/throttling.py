"""Tries to sign in: counted, slowed down after wrong passwords, and bounded.

Others' wrong passwords must not lock the owner out: a browser that has signed in to an
account, and an address that has, are counted apart from all others.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from unicodedata import normalize

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, User
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from router.conf import conf
from router.contract.errors import RouterError
from router.flow import audit
from router.flow.publish.publishing import publish_notice
from router.models import CredentialThrottle
from router.observe.wording import span
from router.operate.credential_throttling import (
    KNOWN,
    Bucket,
    MustWait,
    Try,
    address_bucket,
    admit,
    is_known,
    network_of,
    remember,
)

logger = logging.getLogger(__name__)

THROTTLED = "sign_in.throttled"
DEVICE_COOKIE = "known_device_"
# A hash keeps a core busy for a third of a second; the other threads serve the shop.
# Owners have slots of their own: a flood of strangers' tries must not shut them out.
_strangers, _owners = threading.BoundedSemaphore(2), threading.BoundedSemaphore(2)
STRANGER_WAIT_SECONDS, OWNER_WAIT_SECONDS = 0.05, 5


def remember_client(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Count this browser and this address apart from now on, for this account, and
    note in the audit that it signed in."""
    name = user.get_username()
    account = _normalized(name)
    request.signed_in_account = account  # type: ignore[attr-defined]
    if address := request.META.get("REMOTE_ADDR"):
        remember(_home_bucket(account, address))
        detail = f"from {network_of(address)}"
        with transaction.atomic():
            audit.note(
                "account.signed_in", f"account {name}", by=f"user {name}", detail=detail
            )


@contextmanager
def hashing(where: list[Bucket]) -> Iterator[None]:
    """A right to hash a password. Raises `MustWait` while too many are hashed."""
    is_stranger = any(bucket.is_shared for bucket in where)
    slots = _strangers if is_stranger else _owners
    wait = STRANGER_WAIT_SECONDS if is_stranger else OWNER_WAIT_SECONDS
    if not slots.acquire(timeout=wait):
        raise MustWait(seconds=1)
    try:
        yield
    finally:
        slots.release()


@contextmanager
def counted_try(where: list[Bucket]) -> Iterator[Callable[[bool], None]]:
    """Count a try; the function that this gives takes whether it was right.

    Raises `MustWait` where the try is refused.
    """
    admitted: Try = admit(where)

    def settle(is_right: bool) -> None:
        if is_right:
            admitted.right()
        else:
            for bucket, row in admitted.wrong(THROTTLED):
                _announce(bucket, row)

    yield settle


def _announce(bucket: Bucket, row: CredentialThrottle) -> None:
    """An event, for Slack or a monitor, once for each account that is guessed at.

    It names no account: subscribers outside receive it too. No event for addresses and
    unknown accounts: a guesser has as many of them as it wants.
    """
    if bucket.is_shared or not _is_account(bucket.value.partition("\n")[0]):
        return
    wait = conf().throttle_first_seconds
    try:
        with transaction.atomic():
            publish_notice(
                "router.sign_in.throttled",
                {"failures": row.failures, "wait_seconds": wait},
            )
    except RouterError:
        logger.exception("The notice of wrong passwords was not published")


def buckets(
    request: HttpRequest | None, username: str, purpose: str = "sign-in"
) -> list[Bucket]:
    """Where a try of this client at this account counts."""
    account = _normalized(username)
    address = request.META.get("REMOTE_ADDR", "") if request else ""
    strangers = account_bucket(purpose, account)
    if request is None or not address:
        return [strangers]
    if device := _device(request, account):
        where = "from a device that it has used"
        return [account_bucket(purpose, account, device, where=where)]
    if is_known(_home_bucket(account, address)):
        where = "from an address that it has used"
        return [account_bucket(purpose, account, network_of(address), where=where)]
    return [address_bucket(purpose, address), strangers]


def _home_bucket(account: str, address: str) -> Bucket:
    return account_bucket("home", account, network_of(address))


def account_bucket(
    purpose: str, account: str, place: str = "", *, where: str = ""
) -> Bucket:
    return Bucket(
        purpose,
        f"{account}\n{place}",
        lambda: ", ".join(filter(None, (_label(account), purpose, where))),
        conf().max_wrong_by_account,
    )


def _label(account: str) -> str:
    """What is no account's name may be a password that was typed in its field."""
    return f"account {account}" if _is_account(account) else "an unknown account"


def _is_account(account: str) -> bool:
    return User.objects.filter(username__iexact=account).exists()


def _normalized(username: str) -> str:
    return normalize("NFKC", username).casefold()


def device_cookie(account: str) -> str:
    return DEVICE_COOKIE + sha256(account.encode()).hexdigest()[:12]


def _device(request: HttpRequest, account: str) -> str:
    """The number of this browser, if it has signed in to this account."""
    text = request.COOKIES.get(device_cookie(account), "")
    signer = signing.TimestampSigner(salt=f"config.known_device:{account}")
    try:
        return signer.unsign(text, max_age=KNOWN)
    except signing.BadSignature:
        return ""


def mark_device(response: HttpResponse, account: str) -> None:
    signer = signing.TimestampSigner(salt=f"config.known_device:{account}")
    response.set_cookie(
        device_cookie(account),
        signer.sign(secrets.token_urlsafe(12)),
        max_age=KNOWN,
        path=reverse("admin:index"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def must_wait(seconds: int) -> ValidationError:
    return ValidationError(
        _(
            "Too many sign-in attempts. Try again in %(wait)s; until then even the "
            "right answer is refused."
        ),
        code="throttled",
        params={"wait": span(seconds)},
    )
