from __future__ import annotations

from django import forms


class NoteForm(forms.Form):
    """Why an operator settles failed tasks, of either kind; kept with them."""

    note = forms.CharField(
        label="Reason",
        max_length=1000,
        widget=forms.Textarea({"rows": 3}),
        error_messages={
            "required": "Say why: the reason is kept with the failed task."
        },
    )
