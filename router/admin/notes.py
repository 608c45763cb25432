"""The form of notes and assignee, on the pages of failed tasks and causes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.admin.acting import act
from router.contract.errors import DoesNotApply
from router.operate.notes import Noted, seen, write_notes


class NotesForm(forms.Form):
    """For the others who look at it; `seen` says which notes the page had."""

    assignee = forms.ChoiceField(label=_("Assigned to"), required=False)
    notes = forms.CharField(
        label=_("Notes"),
        required=False,
        max_length=5000,
        widget=forms.Textarea({"rows": 3}),
    )
    seen = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, row: Noted, *args: Any) -> None:
        initial = {"assignee": row.assignee, "notes": row.notes, "seen": seen(row)}
        options: dict[str, Any] = {"auto_id": "id_notes_%s", "initial": initial}
        super().__init__(*args, **options)
        users = get_user_model()._default_manager
        staff = users.filter(is_staff=True, is_active=True).order_by("username")
        names = {*staff.values_list("username", flat=True), row.assignee} - {""}
        choices = [("", gettext("Nobody")), *((name, name) for name in sorted(names))]
        self.fields["assignee"].choices = choices  # type: ignore[attr-defined]


def keep_notes(request: HttpRequest, row: Noted) -> None:
    """Write what was posted, and say how that went."""
    form = NotesForm(row, request.POST)
    if not form.is_valid():
        message = gettext("Nothing is kept: choose a person of the list.")
        messages.warning(request, message)
        return
    values = form.cleaned_data
    was_seen = values.pop("seen")
    try:
        write_notes(row, was_seen=was_seen, **act(request), **values)
    except DoesNotApply as error:
        messages.warning(request, str(error))
    else:
        messages.success(request, gettext("The notes are kept."))
