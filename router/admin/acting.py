"""Who acts in the admin, and why: what the flow keeps in the audit."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest

from router.admin.base import who
from router.admin.subscriber.forms import ReasonForm


def act(request: HttpRequest, form: type[forms.Form] = ReasonForm) -> dict[str, Any]:
    """`by`, and what else the form of a button says; a reason that is too long is
    left out, since the act itself is clear."""
    said = form(request.POST)
    said.is_valid()
    return {"by": who(request), **said.cleaned_data}
