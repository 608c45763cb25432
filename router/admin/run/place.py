"""Fields for a place in the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from router.operate.log_places import Place

FURTHER = (("time", _("A time")), ("position", _("A position")))
Places = Sequence[tuple[str, str | Promise]]


class PlaceChoice(forms.ChoiceField):
    """Which kind of place; a form that does not name it takes the first."""

    def __init__(
        self,
        places: Places,
        further: Places = FURTHER,
        **options: Any,
    ) -> None:
        first, _ = places[0]
        choices = [*places, *further]
        super().__init__(choices=choices, required=False, initial=first, **options)
        self._first = first

    def clean(self, value: Any) -> str:
        return super().clean(value) or self._first


class TimeField(forms.DateTimeField):
    """A time, entered with the browser's own calendar."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(
            {"type": "datetime-local"}, format="%Y-%m-%dT%H:%M:%S"
        )
        super().__init__(
            required=False, widget=widget, help_text=_("In UTC."), **options
        )


def place_of(chosen: str, moment: datetime | None, position: int | None) -> Place:
    """The place that the fields name."""
    match chosen:
        case "time":
            return {"time": moment}
        case "position":
            return {"position": position}
    return chosen
