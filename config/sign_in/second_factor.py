"""A code of an authenticator app beside the password, where the setting asks for it.

With the password alone a session belongs to no account, but on the pages of the code.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import segno
from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from django.utils.http import urlencode
from django_otp import devices_for_user, login, match_token, user_has_device
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from config.sign_in.throttling import buckets, counted_try, remember_client
from router.flow import audit

RECOVERY_CODES = 10
#: Where a session keeps which app it may confirm, and how long others are kept.
PENDING, PENDING_FOR = "second_factor_pending", timedelta(hours=1)


class SecondFactorMiddleware:
    """Hides the account from `request.user` until its code was right.

    `request.account` is the account whose password was given.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not settings.ADMIN_REQUIRES_SECOND_FACTOR:
            return self.get_response(request)
        account: Any = request.user
        request.account = account  # type: ignore[attr-defined]  # ours
        if request.path == reverse("admin:logout"):
            return self.get_response(request)
        request.user = SimpleLazyObject(  # type: ignore[assignment]
            lambda: AnonymousUser() if lacks_factor(account) else account
        )
        if _is_closed(request) and lacks_factor(account):
            wanted = request.GET.get("next") or request.get_full_path()
            page = reverse("second_factor")
            return redirect(f"{page}?{urlencode({'next': wanted})}")
        return self.get_response(request)


def lacks_factor(account: Any) -> bool:
    return account.is_authenticated and account.is_staff and not account.is_verified()


def has_factor(account: User) -> bool:
    return bool(user_has_device(account))


def verify(request: HttpRequest, account: User, code: str) -> bool:
    """Take a code of the app, or a recovery code, which is then used up.

    Raises `MustWait` after too many wrong ones.
    """
    with counted_try(buckets(request, account.get_username(), "code")) as settle:
        device = match_token(account, code)
        settle(device is not None)
    if isinstance(device, StaticDevice):
        with transaction.atomic():
            _note(account, "second_factor.recovery_code_used")
    if device is None:
        return False
    _enter(request, account, device)
    return True


def new_device(request: HttpRequest, account: User) -> TOTPDevice:
    """The app that this session may confirm by a first code.

    Each session has a secret of its own: a thief of the password who opened the page
    before the owner must not know the secret that the owner confirms.
    """
    unconfirmed = TOTPDevice.objects.filter(user=account, confirmed=False)
    device: TOTPDevice | None = unconfirmed.filter(
        pk=request.session.get(PENDING)
    ).first()
    if device is None:
        unconfirmed.filter(created_at__lt=timezone.now() - PENDING_FOR).delete()
        device = TOTPDevice.objects.create(user=account, confirmed=False)
        request.session[PENDING] = device.pk
    return device


def confirm(
    request: HttpRequest, account: User, device: TOTPDevice, code: str
) -> list[str]:
    """Turn the device on; returns its recovery codes, none after a wrong code.

    Raises `MustWait` after too many wrong ones.
    """
    with counted_try(buckets(request, account.get_username(), "code")) as settle:
        with transaction.atomic():
            held = TOTPDevice.objects.select_for_update().get(pk=device.pk)
            if is_right := held.verify_token(code):
                held.confirmed = True
                held.save()
                TOTPDevice.objects.filter(user=account, confirmed=False).delete()
                codes = new_recovery_codes(account)
                _note(account, "second_factor.set_up")
        settle(is_right)
    if not is_right:
        return []
    _enter(request, account, held)
    return codes


@transaction.atomic
def new_recovery_codes(account: User) -> list[str]:
    """Codes that each stand for the app once; the former ones are void."""
    StaticDevice.objects.filter(user=account).delete()
    device = StaticDevice.objects.create(user=account, name="recovery codes")
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    _note(account, "second_factor.recovery_codes_created")
    device.token_set.bulk_create(
        [StaticToken(device=device, token=code) for code in codes]
    )
    return codes


def recovery_codes_left(account: User) -> int:
    return int(StaticToken.objects.filter(device__user=account).count())


@transaction.atomic
def reset(account: User, *, by: str, reason: str) -> bool:
    """Forget the account's app and codes: its next sign-in sets up another."""
    devices = list(devices_for_user(account, confirmed=None))
    for device in devices:
        device.delete()
    target = f"account {account.get_username()}"
    audit.note("second_factor.reset", target, by=by, reason=reason)
    return bool(devices)


def secret_text(device: TOTPDevice) -> str:
    """The secret in groups of four, to type where no camera is."""
    text = b32encode(device.bin_key).decode()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def qr_code(device: TOTPDevice) -> str:
    """An SVG, drawn here: the secret goes to no other host."""
    drawn = segno.make(device.config_url, micro=False)
    return drawn.svg_inline(scale=4, dark="#000", light="#fff", title="QR code")


def _enter(request: HttpRequest, account: User, device: Any) -> None:
    # What the password alone has opened keeps its name no longer.
    request.session.cycle_key()
    request.user = account
    login(request, device)
    remember_client(request, account)


def _note(account: User, action: str) -> None:
    name = account.get_username()
    audit.note(action, f"account {name}", by=f"user {name}")


def _is_closed(request: HttpRequest) -> bool:
    """Pages of the admin, but for those that lead in."""
    is_admin = request.path.startswith(reverse("admin:index"))
    is_login = request.path == reverse("admin:login") and request.method == "POST"
    is_way = request.path.startswith(reverse("second_factor"))
    return is_admin and not (is_login or is_way)
