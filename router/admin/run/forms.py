"""What a person enters to begin a backfill or a replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django import forms
from django.forms import BoundField
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.admin.acting import reason_field
from router.admin.run.place import PlaceChoice, TimeField, place_of
from router.admin.subscriber.managed_form import JSONField
from router.display import in_english
from router.models import RunKind, Subscriber
from router.operate.run_choice import numbers_meant
from router.operate.run_request import MAX_RATE, MIN_RATE, RunRequest

FROM = (("beginning", _("The beginning of the log")),)
UNTIL = (("now", _("Now")),)
#: Pointer of a problem → the field that shows it.
FIELD_OF = {"from": "start", "types": "types"}


class RunForm(forms.Form):
    """A run of a subscriber; `request` is what the fields ask for."""

    kind: RunKind
    start = PlaceChoice(FROM, label=_("From"))
    start_time = TimeField(label=_("From this time"))
    start_position = forms.IntegerField(label=_("From this position"), required=False)
    rate_per_second = forms.FloatField(
        label=_("Rate"),
        required=False,
        min_value=MIN_RATE,
        max_value=MAX_RATE,
        help_text=_("Events a second. Empty: as many as the subscriber takes."),
    )
    reason = reason_field()

    def __init__(
        self, data: QueryDict | None = None, *, subscriber: Subscriber
    ) -> None:
        super().__init__(data)
        self.subscriber = subscriber

    def places(self) -> Iterator[list[BoundField]]:
        """For each place, its choice and the fields that a choice needs."""
        yield self._place("start")

    def rest(self) -> Iterator[BoundField]:
        """The fields beside those of places."""
        grouped = {field.name for fields in self.places() for field in fields}
        return (field for field in self if field.name not in {*grouped, "confirm"})

    def _place(self, name: str) -> list[BoundField]:
        return [self[each] for each in (name, f"{name}_time", f"{name}_position")]

    def clean(self) -> dict[str, Any]:
        return self._with_place(super().clean() or {}, "start")

    def _with_place(self, values: dict[str, Any], name: str) -> dict[str, Any]:
        chosen = values.get(name, "")
        needed = f"{name}_{chosen}"
        if needed in self.fields and values.get(needed) is None:
            if needed not in self.errors:
                self.add_error(needed, gettext("Say which."))
            return values
        moment: datetime | None = values.get(f"{name}_time")
        position: int | None = values.get(f"{name}_position")
        values[f"{name}_place"] = place_of(chosen, moment, position)
        return values

    def request(self) -> RunRequest:
        """What the fields of a valid form ask for."""
        return RunRequest(
            kind=self.kind,
            start=self.cleaned_data["start_place"],
            rate_per_second=self.cleaned_data["rate_per_second"],
        )

    def refuse(self, problems: Iterable[tuple[str, str]]) -> None:
        """Show each problem at the field that its JSON pointer names."""
        for pointer, problem in problems:
            name = pointer[1:].partition("/")[0]
            field = FIELD_OF.get(name, name)
            words = f"{problem[:1].upper()}{problem[1:]}."
            self.add_error(field if field in self.fields else None, in_english(words))


class BackfillForm(RunForm):
    kind = RunKind.BACKFILL


class ReplayForm(RunForm):
    kind = RunKind.REPLAY
    until = PlaceChoice(UNTIL, label=_("Until"))
    until_time = TimeField(label=_("Until this time"))
    until_position = forms.IntegerField(label=_("Until this position"), required=False)
    types = forms.CharField(
        label=_("Event types"),
        required=False,
        widget=forms.Textarea({"rows": 2, "spellcheck": "false"}),
        help_text=_("One event type or pattern a line. Empty: its own."),
    )
    filter = JSONField(
        label=_("Filter"),
        required=False,
        widget=forms.Textarea({"rows": 2, "spellcheck": "false"}),
        help_text=_('As JSON: {"prefix": {"subject": "vip-"}}. Empty: its own.'),
    )
    events = forms.CharField(
        label=_("One order, or chosen events"),
        required=False,
        max_length=2000,
        help_text=_(
            "An order's number, a subject, or numbers of events by commas. Then "
            "leave From and Until as they are."
        ),
    )
    only_failed = forms.BooleanField(
        label=_("Only what was given up"),
        required=False,
        help_text=_("Retries its failed tasks, and gives nothing else."),
    )
    confirm = forms.BooleanField(
        label=_("The handler may do its work twice"),
        required=False,
        help_text=_("It does not say that it is idempotent."),
    )
    field_order = [
        "start", "start_time", "start_position", "until", "until_time",
        "until_position", "types", "filter", "events", "only_failed",
        "rate_per_second", "reason", "confirm",
    ]  # fmt: skip

    def places(self) -> Iterator[list[BoundField]]:
        yield from super().places()
        yield self._place("until")

    def clean(self) -> dict[str, Any]:
        return self._with_place(super().clean(), "until")

    def clean_types(self) -> list[str] | None:
        lines = self.cleaned_data["types"].splitlines()
        return [line.strip() for line in lines if line.strip()] or None

    def clean_events(self) -> list[int] | None:
        term: str = self.cleaned_data["events"].strip()
        if not term:
            return None
        parts = [part.strip().removeprefix("#") for part in term.split(",")]
        if all(part.isdecimal() and len(part) < 19 for part in parts):
            return [int(part) for part in parts]
        numbers = numbers_meant(self.subscriber, term, self.cleaned_data.get("types"))
        if not numbers:
            raise forms.ValidationError(gettext("It gets no event that this means."))
        return numbers

    def request(self) -> RunRequest:
        values = self.cleaned_data
        return RunRequest(
            kind=self.kind,
            start=values["start_place"],
            until=values["until_place"],
            events=values["types"],
            filter=values["filter"],
            only_failed=values["only_failed"],
            chosen=values["events"],
            rate_per_second=values["rate_per_second"],
        )


class RateForm(forms.Form):
    """Another rate for a run that goes on."""

    rate_per_second = forms.FloatField(
        label=_("Rate"),
        required=False,
        min_value=MIN_RATE,
        max_value=MAX_RATE,
        help_text=_("Events a second. Empty: no limit."),
    )
    reason = reason_field()
