"""How an account signs in: counted, slowed down after wrong passwords, and bounded.

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
from typing import Any
from unicodedata import normalize

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.auth.signals import user_logged_in
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from config.sign_in.demo_login import DemoRefusingBackend
from router.conf import conf
from router.contract.errors import RouterError
from router.display import span
from router.flow.publish.publishing import publish_notice
from router.models import CredentialThrottle
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
MAX_PASSWORD_BYTES = 4096
# A hash keeps a core busy for a third of a second; the other threads serve the shop.
# Owners have slots of their own: a flood of strangers' tries must not shut them out.
_strangers, _owners = threading.BoundedSemaphore(2), threading.BoundedSemaphore(2)
STRANGER_WAIT_SECONDS, OWNER_WAIT_SECONDS = 0.05, 5


class SignInBackend(DemoRefusingBackend):
    """Checks a password only after its try was admitted and counted."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if username is None or password is None:
            return None
        where = buckets(request, username)
        try:
            with _hashing(where), counted_try(where) as counted:
                is_long = len(password.encode()) > MAX_PASSWORD_BYTES
                # Refused like any other: hashed, and right for no account.
                given = secrets.token_urlsafe() if is_long else password
                user = super().authenticate(request, username, given, **kwargs)
                counted(user is not None)
        except MustWait as wait:
            if request is not None:
                request.sign_in_wait = wait.seconds  # type: ignore[attr-defined]
            raise PermissionDenied from None
        return user


class SignInForm(AuthenticationForm):  # type: ignore[misc]  # Unfold is not typed
    """The admin's, which says how long to wait; never whether the account exists."""

    def get_invalid_login_error(self) -> ValidationError:
        wait = getattr(self.request, "sign_in_wait", None)
        if wait is None:
            return super().get_invalid_login_error()  # type: ignore[no-any-return]
        return must_wait(wait)


class PasswordChangeForm(AdminOwnPasswordChangeForm):  # type: ignore[misc]
    """The admin's; a stolen session is not enough to guess the old password."""

    def clean_old_password(self) -> str:
        bucket = _account_bucket("password change", self.user.get_username())
        try:
            with _hashing([bucket]), counted_try([bucket]) as counted:
                try:
                    old: str = super().clean_old_password()
                except ValidationError:
                    counted(False)
                    raise
                counted(True)
                return old
        except MustWait as wait:
            raise must_wait(wait.seconds) from None


class SignInMiddleware:
    """Answers 429 to a try that must wait; marks the browser that signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if wait := getattr(request, "sign_in_wait", None):
            response.status_code = 429
            response.headers["Retry-After"] = str(wait)
        if account := getattr(request, "signed_in_account", None):
            _mark(response, account)
        return response


@receiver(user_logged_in, dispatch_uid="config.sign_in")
def _note_sign_in(
    sender: type, request: HttpRequest, user: AbstractBaseUser, **_: Any
) -> None:
    # Else the code is still missing, and the password alone would win more tries at it.
    if not settings.ADMIN_REQUIRES_SECOND_FACTOR:
        remember_client(request, user)


def remember_client(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Count this browser and this address apart from now on, for this account."""
    account = _normalized(user.get_username())
    request.signed_in_account = account  # type: ignore[attr-defined]
    if address := request.META.get("REMOTE_ADDR"):
        remember(_home_bucket(account, address))


@contextmanager
def _hashing(where: list[Bucket]) -> Iterator[None]:
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
    strangers = _account_bucket(purpose, account)
    if request is None or not address:
        return [strangers]
    if device := _device(request, account):
        where = "from a device that it has used"
        return [_account_bucket(purpose, account, device, where=where)]
    if is_known(_home_bucket(account, address)):
        where = "from an address that it has used"
        return [_account_bucket(purpose, account, network_of(address), where=where)]
    return [address_bucket(purpose, address), strangers]


def _home_bucket(account: str, address: str) -> Bucket:
    return _account_bucket("home", account, network_of(address))


def _account_bucket(
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


def _cookie(account: str) -> str:
    return DEVICE_COOKIE + sha256(account.encode()).hexdigest()[:12]


def _device(request: HttpRequest, account: str) -> str:
    """The number of this browser, if it has signed in to this account."""
    text = request.COOKIES.get(_cookie(account), "")
    signer = signing.TimestampSigner(salt=f"config.known_device:{account}")
    try:
        return signer.unsign(text, max_age=KNOWN)
    except signing.BadSignature:
        return ""


def _mark(response: HttpResponse, account: str) -> None:
    signer = signing.TimestampSigner(salt=f"config.known_device:{account}")
    response.set_cookie(
        _cookie(account),
        signer.sign(secrets.token_urlsafe(12)),
        max_age=KNOWN,
        path=reverse("admin:index"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def must_wait(seconds: int) -> ValidationError:
    return ValidationError(
        "Too many sign-in attempts. Try again in %(wait)s; until then even the right "
        "answer is refused.",
        code="throttled",
        params={"wait": span(seconds)},
    )
