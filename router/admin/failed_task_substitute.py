"""The pages on which an operator edits a failed event, or redirects it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from router.admin.failed_task_forms import NoteForm, no_json
from router.admin.filters import subscriber_choices
from router.contract.errors import RouterError
from router.contract.json_text import parse
from router.display import pretty
from router.models import FailedTask
from router.operate.substitutes import corrected


class EditForm(NoteForm):
    """The whole data of the corrected event, and why it is corrected."""

    payload = forms.CharField(
        label=_("Payload"),
        strip=False,
        widget=forms.Textarea(
            {"rows": 18, "spellcheck": "false", "class": "fan-editor", "wrap": "off"}
        ),
        help_text=_("The event's data, as JSON. The event in the log stays as it is."),
    )
    field_order = ("payload", "note")

    def __init__(self, task: FailedTask, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._task = task
        self.fields["payload"].initial = pretty(task.event.json_data())

    def clean_payload(self) -> Any:
        """The data as JSON, checked against the schema that the event names."""
        try:
            data = parse(self.cleaned_data["payload"])
            corrected(self._task.event, data)
        except RouterError as error:
            raise forms.ValidationError(str(error)) from None
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(no_json(error)) from None
        return data


class RedirectForm(NoteForm):
    """Which subscriber gets the event instead."""

    subscriber = forms.ChoiceField(label=_("To"))
    field_order = ("subscriber", "note")

    def __init__(self, task: FailedTask, *args: Any, **kwargs: Any) -> None:
        kwargs["auto_id"] = "id_redirect_%s"
        super().__init__(*args, **kwargs)
        own = str(task.subscriber_id)
        choices = [each for each in subscriber_choices() if each[0] != own]
        self.fields["subscriber"].choices = choices  # type: ignore[attr-defined]
