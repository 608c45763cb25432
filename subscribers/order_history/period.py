"""The days that the sales page looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

USUAL_DAYS = 30
MAX_DAYS = 366


@dataclass(frozen=True)
class Period:
    """From the first day to the last, both included, in the company's time zone."""

    first: date
    last: date

    @property
    def start(self) -> datetime:
        return timezone.make_aware(datetime.combine(self.first, time.min))

    @property
    def end(self) -> datetime:
        after = self.last + timedelta(days=1)
        return timezone.make_aware(datetime.combine(after, time.min))

    def days(self) -> list[date]:
        count = (self.last - self.first).days + 1
        return [self.first + timedelta(days=step) for step in range(count)]


def last_days(count: int) -> Period:
    today = timezone.localdate()
    return Period(today - timedelta(days=count - 1), today)


class PeriodForm(forms.Form):
    """`?from=2026-01-01&to=2026-01-31`; what is left out is filled in."""

    first = forms.DateField(label=_("From"), required=False)
    last = forms.DateField(label=_("To"), required=False)

    def add_prefix(self, field_name: str) -> str:
        return {"first": "from", "last": "to"}.get(field_name, field_name)

    def clean(self) -> dict[str, object]:
        period = self._filled()
        if period.first > period.last:
            raise forms.ValidationError(_("The first day lies after the last."))
        if len(period.days()) > MAX_DAYS:
            raise forms.ValidationError(
                _("That is more than a year (%(days)d days at most). Choose fewer."),
                params={"days": MAX_DAYS},
            )
        return {"period": period}

    def _filled(self) -> Period:
        last = self.cleaned_data.get("last") or timezone.localdate()
        first = self.cleaned_data.get("first")
        if first is None:
            first = max(last, date.min + timedelta(USUAL_DAYS)) - timedelta(
                days=USUAL_DAYS - 1
            )
        return Period(first, min(last, date.max - timedelta(days=2)))


def asked_period(query: Mapping[str, str]) -> tuple[Period, PeriodForm]:
    """The days asked for; the usual ones when the question makes no sense."""
    form = PeriodForm(query)
    if form.is_valid():
        return form.cleaned_data["period"], form
    return last_days(USUAL_DAYS), form
