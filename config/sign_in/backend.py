"""How an account signs in: as Django says, after each try was admitted and counted."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, User
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from config.sign_in.demo_login import DemoRefusingBackend
from config.sign_in.throttling import (
    account_bucket,
    buckets,
    counted_try,
    hashing,
    mark_device,
    must_wait,
    remember_client,
)
from router.flow import audit
from router.operate.credential_throttling import MustWait

MAX_PASSWORD_BYTES = 4096


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
            with hashing(where), counted_try(where) as counted:
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
        bucket = account_bucket("password change", self.user.get_username())
        try:
            with hashing([bucket]), counted_try([bucket]) as counted:
                try:
                    old: str = super().clean_old_password()
                except ValidationError:
                    counted(False)
                    raise
                counted(True)
                return old
        except MustWait as wait:
            raise must_wait(wait.seconds) from None

    @transaction.atomic
    def save(self, commit: bool = True) -> Any:
        name = self.user.get_username()
        audit.note("account.password_changed", f"account {name}", by=f"user {name}")
        return super().save(commit)


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
            mark_device(response, account)
        return response


@receiver(user_logged_in, dispatch_uid="config.sign_in")
def _note_sign_in(
    sender: type, request: HttpRequest, user: AbstractBaseUser, **_: Any
) -> None:
    # Else the code is still missing, and the password alone would win more tries at it.
    if not settings.ADMIN_REQUIRES_SECOND_FACTOR:
        remember_client(request, user)
