from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.admin.acting import ReasonForm, reason_field
from router.conf import HANDLER_QUEUES
from router.contract.retry import RetrySchedule
from router.flow.retry_waits import schedule_of
from router.models import Subscriber
from router.operate.subscribers import MAX_IN_FLIGHT, MAX_PER_SECOND, MIN_RATE

FIELDS = {
    "retry_first_seconds": "first_seconds",
    "retry_maximum_seconds": "maximum_seconds",
    "max_failures": "max_failures",
}


class RotateForm(ReasonForm):
    end_old_secrets = forms.BooleanField(
        label=_("End old secrets now"),
        required=False,
        help_text=_("Also those that an earlier rotation kept for a while."),
    )


class PauseForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=300,
        help_text=_("Shown on this subscriber's page."),
        error_messages={"required": _("Say why: other people will ask.")},
    )


class PaceForm(forms.Form):
    """An operator's limits for a handler: its queue, rate and work in flight."""

    fixed_queue = forms.ChoiceField(
        label=_("Queue"),
        required=False,
        help_text=_("Automatic: as declared, and slow while its runs are long."),
        choices=[
            ("", _("Automatic")),
            *((name, format_lazy(_("Always {}"), name)) for name in HANDLER_QUEUES),
        ],
    )
    rate_per_second = forms.FloatField(
        label=_("Rate"),
        required=False,
        min_value=MIN_RATE,
        max_value=MAX_PER_SECOND,
        help_text=_("Events a second. Empty: no limit."),
    )
    in_flight_limit = forms.IntegerField(
        label=_("In flight"),
        required=False,
        min_value=1,
        max_value=MAX_IN_FLIGHT,
        help_text=_("Events under way. Empty: no limit."),
    )
    reason = reason_field()

    def __init__(
        self, data: QueryDict | None = None, *, subscriber: Subscriber
    ) -> None:
        names = [name for name in self.base_fields if name != "reason"]
        initial = {name: getattr(subscriber, name) for name in names}
        super().__init__(data, initial=initial, auto_id="id_pace_%s")


class ScheduleForm(forms.Form):
    """An operator's retry schedule; an empty field means the declaration's."""

    retry_first_seconds = forms.IntegerField(
        label=_("First wait"), required=False, min_value=1, help_text=_("Seconds.")
    )
    retry_maximum_seconds = forms.IntegerField(
        label=_("Longest wait"),
        required=False,
        min_value=1,
        help_text=_("Seconds; waits double up to it."),
    )
    max_failures = forms.IntegerField(
        label=_("Gives up after"),
        required=False,
        min_value=1,
        help_text=_("Failures; then a failed task needs attention."),
    )
    reason = reason_field()

    def __init__(
        self,
        data: QueryDict | None = None,
        *,
        subscriber: Subscriber,
        declared: RetrySchedule,
    ) -> None:
        initial = {name: getattr(subscriber, name) for name in FIELDS}
        super().__init__(data, initial=initial, auto_id="id_schedule_%s")
        self.declared = declared
        for name in FIELDS:
            placeholder = str(getattr(declared, FIELDS[name]))
            self.fields[name].widget.attrs["placeholder"] = placeholder

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if self.errors:
            return values
        chosen = {FIELDS[name]: values[name] for name in FIELDS if values.get(name)}
        try:
            RetrySchedule(**{**self.declared.__dict__, **chosen})
        except ValueError as error:
            message = gettext("This is not valid: %(error)s.") % {"error": error}
            raise forms.ValidationError(message) from None
        return values


def declared_schedule(subscriber: Subscriber) -> RetrySchedule:
    silent = Subscriber(declared_schedule=subscriber.declared_schedule)
    return schedule_of(silent)
