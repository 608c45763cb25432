"""The screens of subscribers: the list, one subscriber, and what staff do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from router.admin.acting import ReasonForm, act, actor, unchanged
from router.admin.base import RowView
from router.admin.subscriber.alerts import AlertViews
from router.admin.subscriber.figures import attempts_page, figures
from router.admin.subscriber.forms import (
    PaceForm,
    PauseForm,
    RotateForm,
    ScheduleForm,
    declared_schedule,
)
from router.admin.subscriber.managed_form import ManagedForm
from router.admin.subscriber.portal_links import PortalLinkViews
from router.admin.subscriber.trials import is_trial
from router.contract.errors import (
    DoesNotApply,
    InvalidRun,
    InvalidSubscriber,
    NameTaken,
    NotManaged,
    TooManySecrets,
)
from router.display import NOTHING, ago, backlog_words, number, subscriber_badge
from router.flow.breaker.held import held_because, is_held_back
from router.flow.dispatch.queues import queue_of
from router.flow.heartbeats import alive, served_queues
from router.flow.retry_waits import schedule_of
from router.models import FailedTask, Subscriber, Transport
from router.observe.last_failure import failures_given_up
from router.observe.overview import (
    acknowledged_last_minute,
    subscribers_overview,
)
from router.observe.situation import Situation
from router.operate.adjust import set_pace, set_schedule
from router.operate.declared import pause, resume
from router.operate.interventions import close_breaker, try_now
from router.operate.secrets import rotate_secret
from router.operate.subscribers import (
    Managed,
    create_subscriber,
    delete_subscriber,
    edit_subscriber,
)
from router.operate.test_event import send_test_event
from router.transports.kinds import titled

if TYPE_CHECKING:
    BaseChangeList = ChangeList
else:
    from unfold.views import ChangeList as BaseChangeList

MAX_FAILURES = 5
FORM = "router/admin/subscriber_form.html"
SECRET = "router/admin/subscriber_secret.html"  # nosec B105  # a template's name
DELETE = "router/admin/subscriber_delete.html"


class OverviewList(BaseChangeList):
    """Rows that carry their numbers, read for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        situation = Situation.of(subscribers_overview())
        overviews = {row.subscriber.pk: row for row in situation.overviews}
        rates = acknowledged_last_minute()
        for row in self.result_list:
            overview = overviews.get(row.pk)
            row.overview, row.rate = overview, rates.get(row.pk, 0)
            row.words = situation.failure(overview) if overview else ""


@admin.register(Subscriber)
class SubscriberAdmin(AlertViews, PortalLinkViews):
    detail_template = "router/admin/subscriber.html"
    add_form = ManagedForm
    add_template = FORM
    add_title = _("New subscriber")
    empty_list_hint = _(
        "Add one that is reached by webhook or pulls. Functions of this project appear "
        "by themselves: decorate one with @subscriber, name its module in "
        "settings.ROUTER['HANDLERS'], and restart."
    )
    list_acts = ((_("Add subscriber"), "add_subscriber"),)
    ordering = ("name",)
    list_per_page = 100
    list_display = (
        "title",
        "state_badge",
        "backlog",
        "oldest_waiting",
        "last_minute",
        "last_success",
        "last_error",
        "open_failures",
    )

    def get_urls(self) -> list[URLPattern]:
        operate: dict[str, RowView] = {
            "pause": self.pause_view,
            "resume": self.resume_view,
            "test": self.test_view,
            "try_now": self.try_now_view,
            "close_breaker": self.close_breaker_view,
            "schedule": self.schedule_view,
            "pace": self.pace_view,
            "alerts": self.alerts_view,
            "test_alert": self.test_alert_view,
        }
        posts = {name: require_POST(view) for name, view in operate.items()}
        posts |= {"load_history": self.load_history_view, "replay": self.replay_view}
        manage: dict[str, RowView] = {
            "edit": self.edit_view,
            "rotate": require_POST(self.rotate_view),
            "remove": self.remove_view,
        }
        return [
            *self.row_urls(
                "view_subscriber", attempts=require_safe(self.attempts_view)
            ),
            *self.row_urls("change_subscriber", **posts),
            *self.row_urls("add_subscriber", **manage),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscriber]:
        return super().get_queryset(request).filter(deleted_at__isnull=True)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OverviewList

    @admin.display(description=_("State"))
    def state_badge(self, row: Any) -> SafeString:
        is_missing = bool(row.overview and row.overview.is_handler_missing)
        return subscriber_badge(row, is_missing=is_missing)

    @admin.display(description=_("Backlog"))
    def backlog(self, row: Any) -> str:
        return (row.overview and backlog_words(row.overview)) or NOTHING

    @admin.display(description=_("Oldest"))
    def oldest_waiting(self, row: Any) -> SafeString:
        return ago(row.overview and row.overview.oldest_waiting_at)

    @admin.display(description=_("Last minute"))
    def last_minute(self, row: Any) -> str:
        return number(row.rate)

    @admin.display(description=_("Last success"))
    def last_success(self, row: Any) -> SafeString:
        return ago(row.last_acknowledged_at)

    @admin.display(description=_("Last error"))
    def last_error(self, row: Any) -> str:
        return row.words or NOTHING

    @admin.display(description=_("Failed"))
    def open_failures(self, row: Any) -> SafeString | str:
        if not (row.overview and row.overview.open_failed):
            return "0"
        return format_html(
            '<b class="fan-text-review">{}</b>', number(row.overview.open_failed)
        )

    def detail_context(self, request: HttpRequest, row: Subscriber) -> dict[str, Any]:
        shown = figures(request, row)
        tasks = FailedTask.objects.open().filter(subscriber=row).order_by("-pk")
        newest = tasks.select_related("event").defer("event__data")[:MAX_FAILURES]
        words = failures_given_up([task.pk for task in newest])
        return {
            **shown,
            "subscriber": row,
            "rate": acknowledged_last_minute().get(row.pk, 0),
            "schedule": schedule_of(row),
            "target": [
                (gettext(title), value)
                for title, value in titled(row.transport, row.target)
            ],
            "is_managed": row.transport != Transport.HANDLER,
            "schedule_form": ScheduleForm(
                subscriber=row, declared=declared_schedule(row)
            ),
            "pause_form": PauseForm(),
            "reason_form": ReasonForm(auto_id="id_act_%s"),
            "held_form": ReasonForm(auto_id="id_held_%s"),
            "is_held_back": is_held_back(row),
            "rotate_form": RotateForm(auto_id="id_rotate_%s"),
            "pace_form": PaceForm(subscriber=row),
            "queue": queue_of(row, served_queues(alive())),
            "failures": [(task, words[task.pk]) for task in newest],
        }

    def attempts_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        template = "router/admin/subscriber_attempts.html"
        return self.page(request, template, row, attempts_page(request, row))

    def pause_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        form = PauseForm(request.POST)
        if not form.is_valid():
            return self.rerender(request, row, pause_form=form)
        if pause(row.pk, reason=form.cleaned_data["reason"], by=actor(request)):
            message = gettext("%(subscriber)s is paused: its events are kept.")
            self.notify(request, row, message % {"subscriber": row})
        else:
            message = gettext(
                "%(subscriber)s is already paused or disabled; nothing changed."
            )
            self.warn(request, message % {"subscriber": row})
        return self.redirect_back(request, row)

    def resume_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        if resume(row.pk, **act(request)):
            message = gettext("%(subscriber)s is resumed: held events go out now.")
            self.notify(request, row, message % {"subscriber": row})
        else:
            message = gettext("%(subscriber)s is already active; nothing changed.")
            self.warn(request, message % {"subscriber": row})
        return self.redirect_back(request, row)

    def test_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        sent = send_test_event(row.pk, **act(request))
        reason = held_because(row)
        if reason:
            message = gettext("Test event #%(number)s waits. %(reason)s")
            self.warn(request, message % {"number": sent.number, "reason": reason})
        else:
            message = gettext("Test event #%(number)s is on its way to %(subscriber)s.")
            values = {"number": sent.number, "subscriber": row}
            self.notify(request, row, message % values)
        return HttpResponseRedirect(
            reverse("admin:router_eventrecord_change", args=[sent.number])
        )

    def try_now_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        message = gettext("One event is tried now.")
        return self._intervene(request, row, try_now, message)

    def close_breaker_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        message = gettext("The breaker is closed: held events go out, a few at first.")
        return self._intervene(request, row, close_breaker, message)

    def _intervene(
        self,
        request: HttpRequest,
        row: Subscriber,
        intervention: Callable[..., None],
        message: str,
    ) -> HttpResponse:
        try:
            intervention(row.pk, **act(request))
        except DoesNotApply as error:
            self.warn(request, unchanged(error))
        else:
            self.notify(request, row, message)
        return self.redirect_back(request, row)

    def schedule_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        declared = declared_schedule(row)
        form = ScheduleForm(request.POST, subscriber=row, declared=declared)
        if not form.is_valid():
            return self.rerender(request, row, schedule_form=form)
        set_schedule(row.pk, by=actor(request), **form.cleaned_data)
        message = gettext("The retry schedule is saved and applies from now.")
        self.notify(request, row, message)
        return self.redirect_back(request, row)

    def pace_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        if row.transport != Transport.HANDLER:
            raise Http404
        form = PaceForm(request.POST, subscriber=row)
        if not form.is_valid():
            return self.rerender(request, row, pace_form=form)
        set_pace(row.pk, by=actor(request), **form.cleaned_data)
        self.notify(request, row, gettext("The pace is saved and applies from now."))
        return self.redirect_back(request, row)

    @sensitive_variables()
    def add(self, request: HttpRequest, form: ManagedForm) -> HttpResponse | None:
        if is_trial(request, form):
            return None
        name, by = form.cleaned_data["name"], actor(request)
        start, wanted = form.start_place(), form.wanted()
        created = _try(
            form, lambda: create_subscriber(name, by=by, start=start, **wanted)
        )
        if created is None:
            return None
        self.log_addition(request, created.subscriber, "Added")
        return self.shown(request, created, gettext("%(subscriber)s is added."))

    @sensitive_variables()
    @method_decorator(sensitive_post_parameters())
    def edit_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        _refuse_handler(row)
        form = ManagedForm(request.POST or None, subscriber=row)
        if form.is_valid() and not is_trial(request, form, row):
            changed = _try(
                form, lambda: edit_subscriber(row, by=actor(request), **form.wanted())
            )
            if changed:
                self.log_change(request, row, f"Changed {', '.join(form.changed_data)}")
                return self.shown(request, changed, gettext("%(subscriber)s is saved."))
        return self.page(request, FORM, row, {"form": form, "subscriber": row})

    @sensitive_variables("rotated")
    def rotate_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        _refuse_handler(row)
        try:
            rotated = rotate_secret(row, **act(request, RotateForm))
        except (DoesNotApply, InvalidSubscriber, TooManySecrets) as error:
            self.warn(request, str(error))
            return self.redirect_back(request, row)
        self.log_change(request, row, "Signing secret rotated")
        context = {
            "subscriber": row,
            "secret": rotated.secret,
            "old_expire_at": rotated.old_expire_at,
        }
        return self.page(request, SECRET, row, context)

    def remove_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        if request.method != "POST":
            return self.page(request, DELETE, row, self.detail_context(request, row))
        try:
            delete_subscriber(row, **act(request))
        except NotManaged as error:
            self.warn(request, str(error))
            return self.redirect_back(request, row)
        self.log_deletions(request, Subscriber.objects.filter(pk=row.pk))
        message = gettext("%(subscriber)s is deleted; what it is owed is cancelled.")
        messages.success(request, message % {"subscriber": row})
        return self.redirect_to(request, "changelist")

    @sensitive_variables("managed")
    def shown(
        self, request: HttpRequest, managed: Managed, message: str
    ) -> HttpResponse:
        """The new secret, once; without one, a redirect to the subscriber's page."""
        messages.success(request, message % {"subscriber": managed.subscriber})
        if managed.secret is None:
            return self.redirect_back(request, managed.subscriber)
        context = {"subscriber": managed.subscriber, "secret": managed.secret}
        return self.page(request, SECRET, managed.subscriber, context)

    def warn(self, request: HttpRequest, message: str) -> None:
        messages.warning(request, message)

    def redirect_back(
        self, request: HttpRequest, row: Subscriber
    ) -> HttpResponseRedirect:
        return self.redirect_to(request, "change", row.pk)


def _refuse_handler(row: Subscriber) -> None:
    """Its code declares a handler: no form changes it, and nothing of it is signed."""
    if row.transport == Transport.HANDLER:
        raise Http404


def _try(form: ManagedForm, change: Callable[[], Managed]) -> Managed | None:
    """What the change made, or None with the reasons in the form."""
    try:
        return change()
    except (InvalidRun, InvalidSubscriber) as error:
        form.refuse(error.problems)
    except NameTaken as error:
        form.add_error("name", str(error))
    return None
