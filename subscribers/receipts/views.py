"""The mails of a developer's own machine, readable in debug and nowhere else."""

from __future__ import annotations

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from subscribers.receipts.mailbox import StoredMail, find, newest

#: The mail's own styles, and nothing else: no script, no picture, no form, no frame.
MAIL_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"


@require_safe
@never_cache
def mails(request: HttpRequest) -> HttpResponse:
    _only_in_debug()
    return render(request, "receipts/mails.html", {"mails": newest()})


@require_safe
@never_cache
def mail(request: HttpRequest, name: str) -> HttpResponse:
    return render(request, "receipts/mail.html", {"mail": _mail_named(name)})


@require_safe
@never_cache
@xframe_options_sameorigin
def mail_html(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(
        _mail_named(name).html, headers={"Content-Security-Policy": MAIL_POLICY}
    )


def _mail_named(name: str) -> StoredMail:
    _only_in_debug()
    mail = find(name)
    if mail is None:
        raise Http404
    return mail


def _only_in_debug() -> None:
    if not settings.DEBUG:
        raise Http404
