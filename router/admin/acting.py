"""Who acts in the admin, whether they may, and why: what the audit keeps."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.groups import may, needed


def reason_field() -> forms.CharField:
    """An optional reason."""
    return forms.CharField(
        label=_("Reason"),
        required=False,
        max_length=300,
        help_text=_("Kept in the audit."),
    )


class ReasonForm(forms.Form):
    """The form of a button that acts without a further page."""

    reason = reason_field()


def require(request: HttpRequest, permission: str) -> None:
    """Raise `PermissionDenied`, which names the role, unless the person has it."""
    if not may(request, permission):
        raise PermissionDenied(f"{needed(permission)}.")


def unchanged(why: object) -> str:
    """The message of an act that was refused."""
    return gettext("%(why)s Nothing was changed.") % {"why": why}


def actor(request: HttpRequest) -> str:
    """The user's name in the audit."""
    return f"user {request.user.get_username()}"


def act(request: HttpRequest, form: type[forms.Form] = ReasonForm) -> dict[str, Any]:
    """`by`, and the other values of a button's form; a reason that is too long is
    left out, since the act itself is clear."""
    posted = form(request.POST)
    posted.is_valid()
    return {"by": actor(request), **posted.cleaned_data}
