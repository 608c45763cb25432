"""What operators do to a subscriber: each a POST to the flow, told back in words."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from router.admin.acting import act
from router.admin.base import ReadOnlyAdmin, who
from router.admin.subscriber.forms import (
    PaceForm,
    PauseForm,
    ScheduleForm,
    declared_schedule,
)
from router.contract.errors import DoesNotApply
from router.flow.breaker.held import held_because
from router.models import Subscriber, Transport
from router.operate.adjust import set_pace, set_schedule
from router.operate.declared import pause, resume
from router.operate.interventions import close_breaker, try_now
from router.operate.test_event import send_test_event


class SubscriberActs(ReadOnlyAdmin):
    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("router.change_subscriber")

    def get_urls(self) -> list[URLPattern]:
        steps = {
            "pause": self.pause_view,
            "resume": self.resume_view,
            "test": self.test_view,
            "try-now": self.try_now_view,
            "close-breaker": self.close_breaker_view,
            "schedule": self.schedule_view,
            "pace": self.pace_view,
        }
        own = [
            path(
                f"<int:subscriber_id>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"router_subscriber_{name.replace('-', '_')}",
            )
            for name, view in steps.items()
        ]
        return own + super().get_urls()

    def pause_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        row = self.row_to_operate(request, subscriber_id)
        form = PauseForm(request.POST)
        if not form.is_valid():
            return self.again(request, row, pause_form=form)
        reason = form.cleaned_data["reason"]
        if pause(row.pk, reason=reason, by=who(request)):
            self.tell(request, row, f"{row} is paused: what it is owed is kept.")
        else:
            self.warn(request, f"{row} is already paused or disabled; nothing changed.")
        return self.back(request, row)

    def resume_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        row = self.row_to_operate(request, subscriber_id)
        if resume(row.pk, **act(request)):
            self.tell(request, row, f"{row} is resumed: what was held is on its way.")
        else:
            self.warn(request, f"{row} is already active; nothing changed.")
        return self.back(request, row)

    def test_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        row = self.row_to_operate(request, subscriber_id)
        sent = send_test_event(row.pk, **act(request))
        held = held_because(row)
        if held:
            self.warn(request, f"Test event #{sent.number} waits. {held}")
        else:
            self.tell(
                request, row, f"Test event #{sent.number} is on its way to {row}."
            )
        return redirect_to_event(sent.number)

    def try_now_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        return self._intervene(
            request, subscriber_id, try_now, "One event is tried at once."
        )

    def close_breaker_view(
        self, request: HttpRequest, subscriber_id: int
    ) -> HttpResponse:
        return self._intervene(
            request,
            subscriber_id,
            close_breaker,
            "The breaker is closed: what was held goes out, few events at first.",
        )

    def _intervene(
        self,
        request: HttpRequest,
        subscriber_id: int,
        intervention: Callable[..., None],
        message: str,
    ) -> HttpResponse:
        row = self.row_to_operate(request, subscriber_id)
        try:
            intervention(row.pk, **act(request))
        except DoesNotApply as error:
            self.warn(request, f"{error} Nothing was changed.")
        else:
            self.tell(request, row, message)
        return self.back(request, row)

    def schedule_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        row = self.row_to_operate(request, subscriber_id)
        form = ScheduleForm(
            request.POST, subscriber=row, declared=declared_schedule(row)
        )
        if not form.is_valid():
            return self.again(request, row, schedule_form=form)
        set_schedule(row.pk, by=who(request), **form.cleaned_data)
        self.tell(request, row, "The retry schedule is saved; it holds from now on.")
        return self.back(request, row)

    def pace_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        row = self.row_to_operate(request, subscriber_id)
        if row.transport != Transport.HANDLER:
            raise Http404
        form = PaceForm(request.POST, subscriber=row)
        if not form.is_valid():
            return self.again(request, row, pace_form=form)
        set_pace(row.pk, by=who(request), **form.cleaned_data)
        self.tell(request, row, "The pace is saved; it holds from now on.")
        return self.back(request, row)

    def row_to_operate(self, request: HttpRequest, subscriber_id: int) -> Subscriber:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        row: Subscriber | None = self.get_object(request, str(subscriber_id))
        if row is None:
            raise Http404
        return row

    def again(
        self, request: HttpRequest, row: Subscriber, **forms: object
    ) -> HttpResponse:
        row.refresh_from_db()
        context = {**self.detail_context(request, row), **forms}
        return self.page(request, self.detail_template, row, context)

    def tell(self, request: HttpRequest, row: Subscriber, told: str) -> None:
        self.log_change(request, row, told)
        messages.success(request, told)

    def warn(self, request: HttpRequest, told: str) -> None:
        messages.warning(request, told)

    def back(self, request: HttpRequest, row: Subscriber) -> HttpResponseRedirect:
        return self.back_to(request, "change", row.pk)


def redirect_to_event(number: int) -> HttpResponseRedirect:
    return HttpResponseRedirect(
        reverse("admin:router_eventrecord_change", args=[number])
    )
