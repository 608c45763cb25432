"""The pages of the second factor: enter a code, set up an app, see recovery codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from unfold.widgets import BASE_INPUT_CLASSES

from config.sign_in import second_factor
from config.sign_in.throttling import must_wait
from router.operate.credential_throttling import MustWait

Page = Callable[[HttpRequest, User], HttpResponse]


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=16,
        widget=forms.TextInput(
            attrs={
                "autocomplete": "one-time-code",
                "autofocus": True,
                "class": " ".join(BASE_INPUT_CLASSES),
            }
        ),
    )

    def clean_code(self) -> str:
        return "".join(self.cleaned_data["code"].split()).lower()


def for_account(page: Page) -> Any:
    """Only for an account whose password was given, and where the setting is on."""

    @never_cache
    @sensitive_post_parameters("code")
    @require_http_methods(["GET", "POST"])
    def shown(request: HttpRequest) -> HttpResponse:
        if not settings.ADMIN_REQUIRES_SECOND_FACTOR:
            raise Http404("The second factor is off: ADMIN_REQUIRES_SECOND_FACTOR.")
        account: Any = request.account  # type: ignore[attr-defined]  # ours
        if not (account.is_authenticated and account.is_staff):
            return redirect("admin:login")
        return page(request, account)

    return shown


@for_account
def verify(request: HttpRequest, account: User) -> HttpResponse:
    if not second_factor.has_factor(account):
        return redirect(f"{reverse('second_factor_set_up')}?{request.GET.urlencode()}")
    form = CodeForm(request.POST or None, label_suffix="")
    status = _try(form, lambda code: second_factor.verify(request, account, code))
    if status is None:
        return redirect(_next(request))
    return _show(request, "code", status, form=form, title=gettext("Enter a code"))


@for_account
def set_up(request: HttpRequest, account: User) -> HttpResponse:
    if second_factor.has_factor(account):
        return _change(request, account)
    device = second_factor.new_device(request, account)
    codes: list[str] = []

    def confirm(code: str) -> bool:
        codes.extend(second_factor.confirm(request, account, device, code))
        return bool(codes)

    form = CodeForm(request.POST or None, label_suffix="")
    status = _try(form, confirm)
    if status is None:
        return _show_codes(request, codes)
    shown = {
        "qr_code": second_factor.qr_code(device),
        "secret": second_factor.secret_text(device),
    }
    title = gettext("Set up a second factor")
    return _show(request, "set_up", status, form=form, title=title, **shown)


def _change(request: HttpRequest, account: User) -> HttpResponse:
    """The app is set up: its recovery codes can be replaced, with all factors only."""
    if second_factor.lacks_factor(account):
        return redirect("second_factor")
    if request.method == "POST":
        return _show_codes(request, second_factor.new_recovery_codes(account))
    left = second_factor.recovery_codes_left(account)
    return _show(request, "state", 200, title=gettext("Second factor"), left=left)


def _try(form: CodeForm, check: Callable[[str], bool]) -> int | None:
    """The status of the page that shows the form again; None after a right code."""
    if not form.is_valid():
        return 200
    try:
        if check(form.cleaned_data["code"]):
            return None
    except MustWait as wait:
        form.add_error(None, must_wait(wait.seconds))
        return 429
    wrong = gettext(
        "This code is wrong or was used. Wait for the next one, and try again."
    )
    form.add_error(None, wrong)
    return 200


def _show_codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    context = {"codes": codes, "next": _next(request)}
    return _show(request, "codes", 200, title=gettext("Recovery codes"), **context)


def _show(request: HttpRequest, name: str, status: int, **context: Any) -> HttpResponse:
    context = {**admin.site.each_context(request), **context}
    return render(request, f"admin/second_factor/{name}.html", context, status=status)


def _next(request: HttpRequest) -> str:
    wanted = request.GET.get("next", "")
    is_own_page = url_has_allowed_host_and_scheme(
        wanted, {request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_own_page else reverse("admin:index")
