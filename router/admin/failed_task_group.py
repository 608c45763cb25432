"""The screens of causes: every cause with open failed tasks, and one cause with what
operators do to all of its failed tasks."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from router.admin.acting import act, actor, require
from router.admin.failed_task import MAX_LISTED, RemediationAdmin, discarded
from router.admin.failed_task_forms import NoteForm
from router.admin.filters import subscriber_choices
from router.admin.notes import NotesForm, keep_notes
from router.charts import bar_path
from router.contract.data import is_json
from router.contract.errors import DoesNotApply
from router.models import (
    FailedTask,
    FailedTaskGroup,
    FailedTaskState,
    RampedRetry,
    RampState,
)
from router.observe.causes import MAX_CAUSES, Cause, open_causes
from router.observe.naming import whole_number
from router.observe.ramp_progress import RampProgress, ramp_progress
from router.observe.wording import grouped
from router.operate.ramped_retries import (
    begin_ramped_retry,
    cancel_ramped_retry,
    discard_group,
)

#: Ramped retries that a page shows: what runs, and what became of the last ones.
MAX_RAMPS = 3
BEGUN = _("The retry begins: one event first.")


class SinceForm(NoteForm):
    """From when on everything of a subscriber is retried."""

    since = forms.DateTimeField(
        label=_("Opened since"),
        required=False,
        widget=forms.DateTimeInput({"type": "datetime-local"}, "%Y-%m-%dT%H:%M"),
        help_text=_("In UTC. Left empty: everything that is open."),
    )


def trend_of(cause: Cause, top: int) -> SafeString:
    """The cause's last day as bars of an hour each; the highest has `top`."""
    return format_html(
        '<svg class="fan-spark fan-attention" viewBox="0 0 96 24" role="img"'
        ' aria-label="{0}"><title>{0}</title><path d="{1}"/></svg>',
        gettext("%(day)s opened in 24 hours, %(hour)s in this hour")
        % {"day": grouped(sum(cause.trend)), "hour": grouped(cause.trend[-1])},
        bar_path(cause.trend, top, 96, 24),
    )


@admin.register(FailedTaskGroup)
class FailedTaskGroupAdmin(RemediationAdmin):
    detail_template = "router/admin/cause.html"
    list_select_related = ("subscriber",)

    def get_urls(self) -> list[URLPattern]:
        posts = {
            "retry": require_POST(self.retry_view),
            "discard": require_POST(self.discard_view),
            "notes": require_POST(self.notes_view),
        }
        since = self.admin_site.admin_view(require_POST(self.retry_since_view))
        cancel = self.admin_site.admin_view(require_POST(self.cancel_view))
        name = "router_failedtaskgroup"
        return [
            path("retry-since/", since, name=f"{name}_retry_since"),
            path("cancel/<int:retry>/", cancel, name=f"{name}_cancel"),
            *self.row_urls("remediate_failedtask", **posts),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Causes, the one with most failed tasks first."""
        require(request, "view_failedtaskgroup")
        return self._list(request, request.GET.get("subscriber", ""), SinceForm())

    def _list(
        self, request: HttpRequest, subscriber: str, form: SinceForm
    ) -> HttpResponse:
        chosen = whole_number(subscriber)
        among = Q() if chosen is None else Q(subscriber=chosen)
        causes = open_causes(among)
        top = max((max(cause.trend) for cause in causes), default=0)
        ramps = RampedRetry.objects.filter(among)
        context = {
            "title": gettext("Failed tasks by cause"),
            "causes": [(cause, trend_of(cause, top)) for cause in causes],
            "is_more": len(causes) == MAX_CAUSES,
            "ungrouped_count": FailedTask.objects.ungrouped().count(),
            "subscribers": subscriber_choices(),
            "chosen": str(chosen or ""),
            "ramps": _shown(ramps.active() if chosen is None else ramps),
            "since_form": form,
        }
        return self.page(request, "router/admin/causes.html", None, context)

    def detail_context(
        self, request: HttpRequest, row: FailedTaskGroup
    ) -> dict[str, Any]:
        cause = next(iter(open_causes(Q(group=row))), None)
        ramps = _shown(RampedRetry.objects.filter(group=row))
        tasks = _newest(row)
        return {
            "title": gettext("Cause %(cause)s of %(subscriber)s")
            % {"cause": row.pk, "subscriber": row.subscriber},
            "group": row,
            "cause": cause,
            "trend": trend_of(cause, max(cause.trend)) if cause else "",
            "settled": _settled(row),
            "tasks": tasks,
            "edit_url": _edit_url(tasks),
            "ramps": ramps,
            "is_moving": any(ramp.retry.state == RampState.ACTIVE for ramp in ramps),
            "note_form": NoteForm(),
            "noted": row,
            "notes_form": NotesForm(row),
            "notes_url": self.url("notes", row.pk),
        }

    def changeform_view(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The page; the part that moves by itself loads the whole page anew once the
        retry is over, for its other parts have other numbers then."""
        response = super().changeform_view(request, *args, **kwargs)
        context = getattr(response, "context_data", None) or {}
        if request.GET.get("seen") and not context.get("is_moving", True):
            response["HX-Refresh"] = "true"
        return response

    def retry_view(self, request: HttpRequest, row: FailedTaskGroup) -> HttpResponse:
        form = NoteForm(request.POST)
        if not form.is_valid():
            return self._rerender(request, row, form)
        try:
            begin_ramped_retry(
                row.subscriber_id,
                group=row,
                by=actor(request),
                reason=form.cleaned_data["note"],
            )
        except DoesNotApply as error:
            messages.warning(request, str(error))
        else:
            messages.success(request, BEGUN)
        return HttpResponseRedirect(self.url("change", row.pk))

    def discard_view(self, request: HttpRequest, row: FailedTaskGroup) -> HttpResponse:
        form = NoteForm(request.POST)
        if not form.is_valid():
            return self._rerender(request, row, form)
        up_to = whole_number(request.POST.get("up_to", ""))
        note = form.cleaned_data["note"]
        try:
            count = discard_group(row, by=actor(request), note=note, up_to=up_to)
        except DoesNotApply as error:
            messages.warning(request, str(error))
        else:
            messages.success(request, discarded(count))
        return HttpResponseRedirect(self.url("change", row.pk))

    def notes_view(self, request: HttpRequest, row: FailedTaskGroup) -> HttpResponse:
        keep_notes(request, row)
        return HttpResponseRedirect(self.url("change", row.pk))

    def retry_since_view(self, request: HttpRequest) -> HttpResponse:
        require(request, "remediate_failedtask")
        form, subscriber = SinceForm(request.POST), request.POST.get("subscriber", "")
        chosen = {key for key, _ in subscriber_choices()} & {subscriber}
        if not form.is_valid() or not chosen:
            return self._list(request, subscriber, form)
        values = form.cleaned_data
        by, reason = actor(request), values["note"]
        try:
            begin_ramped_retry(
                int(subscriber), since=values["since"], by=by, reason=reason
            )
        except DoesNotApply as error:
            messages.warning(request, str(error))
        else:
            messages.success(request, BEGUN)
        address = f"{self.url('changelist')}?subscriber={subscriber}"
        return HttpResponseRedirect(address)

    def cancel_view(self, request: HttpRequest, retry: int) -> HttpResponse:
        require(request, "remediate_failedtask")
        try:
            cancel_ramped_retry(retry, **act(request))
        except DoesNotApply as error:
            messages.warning(request, str(error))
        else:
            message = gettext("Cancelled. What was not begun is open again.")
            messages.success(request, message)
        row = RampedRetry.objects.filter(pk=retry, group__isnull=False).first()
        if row is None:
            return HttpResponseRedirect(self.url("changelist"))
        return HttpResponseRedirect(self.url("change", row.group_id))

    def _rerender(
        self, request: HttpRequest, row: FailedTaskGroup, form: NoteForm
    ) -> HttpResponse:
        context = {**self.detail_context(request, row), "note_form": form}
        return self.page(request, self.detail_template, row, context)


def _shown(ramps: Any) -> list[RampProgress]:
    rows: Any = ramps.select_related("subscriber").order_by("-pk")
    return [ramp_progress(row) for row in rows[:MAX_RAMPS]]


def _settled(group: FailedTaskGroup) -> list[tuple[str, str, int]]:
    """How many of its failed tasks were settled: state, its word, and the number."""
    rows = FailedTask.objects.filter(group=group).exclude(state="open").order_by()
    counts = rows.values_list("state").annotate(count=Count("pk"))
    return [
        (state, str(FailedTaskState(state).label), count) for state, count in counts
    ]


def _newest(group: FailedTaskGroup) -> list[FailedTask]:
    tasks = FailedTask.objects.open().filter(group=group).order_by("-pk")
    rows = tasks.select_related("event").defer("traceback", "event__data")
    return list(rows[:MAX_LISTED])


def _edit_url(tasks: list[FailedTask]) -> str:
    """Where the one failed task is edited; of several each is a payload of its own."""
    if len(tasks) != 1 or not is_json(tasks[0].event.datacontenttype):
        return ""
    return reverse("admin:router_failedtask_edit", args=[tasks[0].pk])
