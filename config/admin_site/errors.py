"""The errors of the admin in the admin's own frame, in debug too, with a way back.

Django answers, logs and signals as ever; staff get another page in its place.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import NamedTuple

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

logger = logging.getLogger(__name__)


class Words(NamedTuple):
    title: Promise
    meaning: Promise
    advice: Promise


STALE = Words(
    _("This page was open too long"),
    _("The form could not be checked to be yours, so nothing was changed."),
    _("Go back, reload the page and send it again. The browser must accept cookies."),
)
WORDS = {
    400: Words(
        _("Unreadable request"),
        _(
            "What the browser sent is not complete, or is not what this page takes. "
            "Nothing was changed."
        ),
        _("Go back and try again."),
    ),
    403: Words(
        _("You do not have permission"),
        _("Your account may not see this page or do this. Nothing was changed."),
        _("Ask an administrator for the permission, or to add you to a group."),
    ),
    404: Words(
        _("Page not found"),
        _(
            "There is nothing at this address. It may have been deleted, or the "
            "address has a typing error."
        ),
        _("Search the list for what you want."),
    ),
    405: Words(
        _("This address takes a form"),
        _("It does something only when a form is sent to it. Nothing was changed."),
        _("Open the page with the form, and send it again."),
    ),
    500: Words(
        _("This page failed"),
        _("The fault is in the site, not in what you did. The error is in its log."),
        _(
            "Check whether your change was made, then try again. If it fails again, "
            "give an administrator the address and the time."
        ),
    ),
}


class AdminErrorsMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code not in WORDS or not _is_page_of_admin(
            request, response
        ):
            return response
        try:
            return _dressed(request, response) if _is_staff(request) else response
        except Exception:
            # Without the database there is no side bar; Django's answer needs none.
            logger.exception("The admin's page for an error failed itself")
            return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        request.admin_error = exception  # type: ignore[attr-defined]  # ours


def _is_page_of_admin(request: HttpRequest, response: HttpResponse) -> bool:
    is_html = response.headers.get("Content-Type", "text/html").startswith("text/html")
    return is_html and request.path.startswith(_root())


def _is_staff(request: HttpRequest) -> bool:
    return admin.site.has_permission(request)


def _dressed(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    status = response.status_code
    error: Exception | None = getattr(request, "admin_error", None)
    is_stale = status == 403 and not isinstance(error, PermissionDenied)
    words = STALE if is_stale else WORDS[status]
    is_shown = settings.DEBUG and status == 500 and error is not None
    context = {
        **admin.site.each_context(request),
        **words._asdict(),
        **_way_back(request),
        "status": status,
        "detail": _detail(error),
        "traceback": "".join(traceback.format_exception(error)) if is_shown else "",
    }
    page = render(request, "admin/error.html", context, status=status)
    # What else the answer says, such as the methods that are allowed, stays.
    for name, value in response.items():
        page.headers.setdefault(name, value)
    del page.headers["Content-Length"]
    return page


def _detail(error: Exception | None) -> str:
    """The view's message for people; the text of an unexpected error is not shown."""
    is_meant = isinstance(error, Http404 | PermissionDenied)
    return str(error) if is_meant else ""


def _way_back(request: HttpRequest) -> dict[str, str]:
    """The list that the address lies under, if this person may see it."""
    app_label, _, rest = request.path.removeprefix(_root()).partition("/")
    model_name = rest.partition("/")[0]
    try:
        model = apps.get_model(app_label, model_name)
        may_view = admin.site.get_model_admin(model).has_view_permission(request)
    except (LookupError, ValueError, NotRegistered):
        return {}
    if not may_view:
        return {}
    return {
        "list_url": reverse(f"admin:{app_label}_{model_name}_changelist"),
        "list_name": str(model._meta.verbose_name_plural),
    }


def _root() -> str:
    return reverse("admin:index")
