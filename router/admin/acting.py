"""Who acts in the admin, and why: what the flow keeps in the audit."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest


def reason_field() -> forms.CharField:
    """An optional reason."""
    return forms.CharField(
        label="Reason",
        required=False,
        max_length=300,
        help_text="Kept in the audit.",
    )


class ReasonForm(forms.Form):
    """The form of a button that acts without a further page."""

    reason = reason_field()


def actor(request: HttpRequest) -> str:
    """The user's name in the audit."""
    return f"user {request.user.get_username()}"


def act(request: HttpRequest, form: type[forms.Form] = ReasonForm) -> dict[str, Any]:
    """`by`, and the other values of a button's form; a reason that is too long is
    left out, since the act itself is clear."""
    posted = form(request.POST)
    posted.is_valid()
    return {"by": actor(request), **posted.cleaned_data}
