"""Passwords of staff: the longest allowed, and the page where they change their own."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext

from config.sign_in.backend import MAX_PASSWORD_BYTES, PasswordChangeForm
from router.observe.wording import grouped


class MaximumLengthValidator:
    """Refuses what the sign-in would refuse later."""

    def validate(self, password: str, user: User | None = None) -> None:
        if len(password.encode()) > MAX_PASSWORD_BYTES:
            raise ValidationError(self.get_help_text(), code="password_too_long")

    def get_help_text(self) -> str:
        text = gettext("Your password can be at most %(count)s bytes long.")
        return text % {"count": grouped(MAX_PASSWORD_BYTES)}


def change_password(request: HttpRequest, **_: Any) -> HttpResponseBase:
    return PasswordChangeView.as_view(
        form_class=PasswordChangeForm,
        success_url=reverse("admin:password_change_done"),
        extra_context=admin.site.each_context(request),
    )(request)
