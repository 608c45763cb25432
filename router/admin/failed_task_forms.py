from __future__ import annotations

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


def no_json(error: Exception) -> str:
    """What a field says of a text that is no JSON."""
    return gettext("This is no JSON: %(error)s.") % {"error": error}


class NoteForm(forms.Form):
    """Why an operator settles failed tasks, of either kind; kept with them."""

    note = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        widget=forms.Textarea({"rows": 3}),
        error_messages={
            "required": _("Say why: the reason is kept with the failed task.")
        },
    )
