"""A subscriber's alerts on its page: from where on they open, and a test of the way."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.admin.acting import act, actor, reason_field
from router.admin.run.views import RunViews
from router.conf import MAX_ALERT_AGE_SECONDS, MAX_ALERT_FAILED_TASKS, conf
from router.models import Subscriber
from router.operate.adjust import set_alert_rules
from router.operate.test_alert import send_test_alert


class AlertRulesForm(forms.Form):
    """The limits of a subscriber's alerts; an empty field means the settings'."""

    backlog_age_seconds = forms.IntegerField(
        label=_("Backlog older than"),
        required=False,
        min_value=0,
        max_value=MAX_ALERT_AGE_SECONDS,
        help_text=_("Seconds: the age of the oldest event that it is owed."),
    )
    failure_rate = forms.FloatField(
        label=_("Failing attempts"),
        required=False,
        min_value=0,
        max_value=1,
        help_text=_("Share of the last ten minutes: 0.2 is one in five."),
    )
    open_failed_tasks = forms.IntegerField(
        label=_("Open failed tasks"),
        required=False,
        min_value=0,
        max_value=MAX_ALERT_FAILED_TASKS,
        help_text=_("So many, or more."),
    )
    reason = reason_field()

    def __init__(
        self, data: QueryDict | None = None, *, subscriber: Subscriber
    ) -> None:
        own = subscriber.alert_rules
        super().__init__(data, initial=own, auto_id="id_alerts_%s")
        for name in self.fields.keys() - {"reason"}:
            placeholder = str(getattr(conf().alerts, name))
            self.fields[name].widget.attrs["placeholder"] = placeholder


class AlertViews(RunViews):
    """What staff do about a subscriber's alerts."""

    def page(
        self,
        request: HttpRequest,
        template: str,
        row: Any,
        context: dict[str, Any],
    ) -> TemplateResponse:
        if template == self.detail_template:
            context = {"alerts_form": AlertRulesForm(subscriber=row), **context}
        return super().page(request, template, row, context)

    def alerts_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        form = AlertRulesForm(request.POST, subscriber=row)
        if not form.is_valid():
            return self.rerender(request, row, alerts_form=form)
        set_alert_rules(row.pk, by=actor(request), **form.cleaned_data)
        message = gettext("The rules for alerts are saved and apply from now.")
        self.notify(request, row, message)
        return self.redirect_to(request, "change", row.pk)

    def test_alert_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        sent = send_test_alert(row.pk, **act(request))
        message = gettext(
            "Test alert #%(number)s is on its way to those that get alerts."
        )
        self.notify(request, row, message % {"number": sent.number})
        return HttpResponseRedirect(
            reverse("admin:router_eventrecord_change", args=[sent.number])
        )

    def notify(self, request: HttpRequest, row: Subscriber, message: str) -> None:
        """Show it, and keep it in the row's history."""
        self.log_change(request, row, message)
        messages.success(request, message)

    def rerender(
        self, request: HttpRequest, row: Subscriber, **forms: object
    ) -> HttpResponse:
        """The page of the subscriber, with these forms in place of its own."""
        row.refresh_from_db()
        context = {**self.detail_context(request, row), **forms}
        return self.page(request, self.detail_template, row, context)
