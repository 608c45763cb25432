from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseNotAllowed,
)
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from router.admin.acting import act, actor, require
from router.admin.base import ReadOnlyAdmin
from router.admin.delivery import newest_attempts
from router.admin.diff import diff_of
from router.admin.failed_task_export import KINDS, export
from router.admin.failed_task_forms import NoteForm
from router.admin.failed_task_substitute import EditForm, RedirectForm
from router.admin.filters import (
    CauseFilter,
    FailedAtFilter,
    FailedTaskStateFilter,
    ReasonFilter,
    search_by_event,
)
from router.admin.notes import NotesForm, keep_notes
from router.contract.data import is_json
from router.contract.errors import InvalidEvent, NotOpen
from router.display import ago, badge, first_line
from router.groups import may
from router.models import OPEN_FIRST, FailedTask, Subscriber
from router.observe.causes import words_of_task
from router.observe.naming import whole_number
from router.observe.wording import grouped
from router.operate import substitutes
from router.operate.failed_tasks import (
    Settled,
    discard,
    may_restore,
    restore,
    retry,
)
from router.operate.substitutes import UNDO_SECONDS, edit_and_retry, redirect

#: Failed tasks that one act settles at most.
MAX_AT_ONCE = 1000
#: Tasks named on the confirmation page, and refusals listed one by one.
MAX_LISTED = 10
SETTLE: dict[str, Callable[..., Settled]] = {"retry": retry, "discard": discard}
MAX_ERROR_LENGTH = 90


class RemediationAdmin(ReadOnlyAdmin):
    """Failed tasks, of either kind, of which an operator settles one or many."""

    def has_remediate_permission(self, request: HttpRequest) -> bool:
        return may(request, "remediate_failedtask")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST":
            require(request, "remediate_failedtask")
        return super().changelist_view(request, extra_context)

    def confirmation(
        self,
        request: HttpRequest,
        template: str,
        act: str,
        ids: list[int],
        **context: Any,
    ) -> HttpResponse:
        """The page that names what `act` settles, and asks for the reason."""
        more = max(0, len(ids) - MAX_LISTED)
        listed = ",".join(map(str, ids))
        context = {"title": act, "ids": listed, "more": more, **context}
        return self.page(request, template, None, context)


@admin.register(FailedTask)
class FailedTaskAdmin(RemediationAdmin):
    actions: Any = ("retry_selected", "discard_selected")
    list_acts = (
        (_("Retry…"), "remediate_failedtask"),
        (_("Discard…"), "remediate_failedtask"),
    )
    is_pruned = True
    detail_template = "router/admin/failed_task.html"
    list_before_template = "router/admin/failed_task_list_links.html"
    empty_list_hint = _(
        "When a subscriber rejects an event, or fails until its retry schedule is "
        "exhausted, the failed task appears here and needs attention."
    )
    list_display = (
        "id",
        "state_badge",
        "subscriber",
        "event",
        "reason",
        "error_line",
        "opened",
    )
    list_filter = (FailedTaskStateFilter, FailedAtFilter, ReasonFilter, CauseFilter)
    search_fields = ("id",)
    search_help_text = _("Task, or event's number, id or subject")

    def get_queryset(self, request: HttpRequest) -> QuerySet[FailedTask]:
        heavy = ("traceback", "event__data", "event__extensions")
        # Named here, all of them: beside these Django adds none for the list.
        rows = super().get_queryset(request)
        rows = rows.select_related("event", "subscriber", "successor__subscriber")
        return rows.defer(*heavy, "successor__subscriber__custom_headers")

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        return [OPEN_FIRST, "-pk"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search_by_event(queryset, search_term)

    @admin.display(description=_("State"))
    def state_badge(self, task: FailedTask) -> SafeString:
        by = gettext("by %(name)s") % {"name": task.settled_by_name}
        return format_html(
            "{} {}", badge(task.state), by if task.settled_by_name else ""
        )

    @admin.display(description=_("Error"))
    def error_line(self, task: FailedTask) -> str:
        line = first_line(task.error)
        return line if len(line) <= MAX_ERROR_LENGTH else f"{line[:MAX_ERROR_LENGTH]}…"

    @admin.display(description=_("Opened"))
    def opened(self, task: FailedTask) -> SafeString:
        return ago(task.opened_at)

    def detail_context(self, request: HttpRequest, row: FailedTask) -> dict[str, Any]:
        return {
            "task": row,
            "words": words_of_task(row),
            "cloudevent": row.event.shown(),
            **newest_attempts(row.delivery),
            "is_restorable": may_restore(row),
            "note_form": NoteForm(),
            "noted": row,
            "notes_form": NotesForm(row),
            "notes_url": self.url("notes", row.pk),
            "redirect_form": RedirectForm(row),
            "is_editable": is_json(row.event.datacontenttype),
        }

    @admin.action(description=_("Retry…"), permissions=["remediate"])
    def retry_selected(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse:
        return self.ask(request, "retry", queryset)

    @admin.action(description=_("Discard…"), permissions=["remediate"])
    def discard_selected(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse:
        return self.ask(request, "discard", queryset)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.settle_view))
        views: dict[str, Any] = {
            "edit": self.edit_view,
            "notes": require_POST(self.notes_view),
            "redirect": require_POST(self.redirect_view),
            "restore": require_POST(self.restore_view),
        }
        return [
            path("settle/", view, name="router_failedtask_settle"),
            *self._export_urls(),
            *self.row_urls("remediate_failedtask", **views),
            *super().get_urls(),
        ]

    def _export_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        name = "router_failedtask_export"
        return [
            path(f"export/{kind}/", view, {"kind": kind}, name=f"{name}_{kind}")
            for kind in KINDS
        ]

    def settle_view(self, request: HttpRequest) -> HttpResponse:
        require(request, "remediate_failedtask")
        verb = request.POST.get("verb", "")
        if verb not in SETTLE:
            message = gettext("Say whether to retry or to discard.")
            return HttpResponseBadRequest(message)
        ids = posted_ids(request.POST.get("ids", ""))
        form = NoteForm(request.POST)
        if not form.is_valid():
            return self.confirm(request, verb, ids, form)
        note = form.cleaned_data["note"]
        settled = SETTLE[verb](ids, by=actor(request), user=request.user, note=note)
        notify(request, verb, settled)
        if len(ids) == 1:
            return self.redirect_to(request, "change", ids[0])
        return self.redirect_to(request, "changelist")

    def notes_view(self, request: HttpRequest, row: FailedTask) -> HttpResponse:
        keep_notes(request, row)
        return self.redirect_to(request, "change", row.pk)

    def export_view(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """The list's rows, as the address filters them, as a file."""
        require(request, "view_failedtask")
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        try:
            listed = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseBadRequest(gettext("The list has no such filter."))
        return export(request, listed.queryset, kind)

    def edit_view(self, request: HttpRequest, row: FailedTask) -> HttpResponse:
        form = EditForm(row, request.POST or None)
        is_valid = form.is_valid()
        if is_valid and "send" in request.POST:
            act = _act(request, form)
            data = form.cleaned_data["payload"]
            return self._substitute(
                request, row, lambda: edit_and_retry(row.pk, data, act)
            )
        before, after = row.event.json_data(), form.cleaned_data if is_valid else {}
        context = {
            "title": gettext("Edit failed task %(task)s") % {"task": row.pk},
            "task": row,
            "form": form,
            "diff": list(diff_of(before, after["payload"])) if is_valid else [],
            "words": words_of_task(row),
            "undo_seconds": UNDO_SECONDS,
        }
        return self.page(request, "router/admin/failed_task_edit.html", row, context)

    def redirect_view(self, request: HttpRequest, row: FailedTask) -> HttpResponse:
        form = RedirectForm(row, request.POST)
        if not form.is_valid():
            context = {**self.detail_context(request, row), "redirect_form": form}
            return self.page(request, self.detail_template, row, context)
        act = _act(request, form)
        to = Subscriber.objects.known().get(pk=form.cleaned_data["subscriber"])
        return self._substitute(request, row, lambda: redirect(row.pk, to, act))

    def _substitute(
        self, request: HttpRequest, row: FailedTask, act: Callable[[], object]
    ) -> HttpResponse:
        try:
            act()
        except (NotOpen, InvalidEvent) as error:
            messages.warning(request, str(error))
        else:
            message = gettext("It goes out in %(count)s seconds; undo it until then.")
            messages.success(request, message % {"count": UNDO_SECONDS})
        return self.redirect_to(request, "change", row.pk)

    def restore_view(self, request: HttpRequest, row: FailedTask) -> HttpResponse:
        try:
            values = act(request)
            restore(row.pk, by=values["by"], note=values["reason"])
        except NotOpen as error:
            messages.warning(request, str(error))
        else:
            messages.success(request, gettext("It is open again, as before."))
        return self.redirect_to(request, "change", row.pk)

    def ask(
        self, request: HttpRequest, verb: str, tasks: QuerySet[Any]
    ) -> HttpResponse:
        return self.confirm(request, verb, chosen_ids(request, tasks), NoteForm())

    def confirm(
        self, request: HttpRequest, verb: str, ids: list[int], form: NoteForm
    ) -> HttpResponse:
        tasks = FailedTask.objects.filter(pk__in=ids).defer("event__data")
        tasks = tasks.select_related("event", "subscriber").order_by("-pk")
        return self.confirmation(
            request,
            "router/admin/settle.html",
            OFFERED[verb](len(ids)),
            ids,
            verb=verb,
            tasks=tasks[:MAX_LISTED],
            note_form=form,
        )


def _act(request: HttpRequest, form: NoteForm) -> substitutes.Act:
    user: Any = request.user
    note = form.cleaned_data["note"]
    return substitutes.Act(by=actor(request), user=user, note=note)


def _retry_offered(count: int) -> str:
    text = ngettext(
        "Retry %(count)s failed task", "Retry %(count)s failed tasks", count
    )
    return text % {"count": grouped(count)}


def _discard_offered(count: int) -> str:
    text = ngettext(
        "Discard %(count)s failed task", "Discard %(count)s failed tasks", count
    )
    return text % {"count": grouped(count)}


OFFERED = {"retry": _retry_offered, "discard": _discard_offered}


def retried(count: int) -> str:
    text = ngettext(
        "%(count)s failed task will be tried again.",
        "%(count)s failed tasks will be tried again.",
        count,
    )
    return text % {"count": grouped(count)}


def discarded(count: int) -> str:
    text = ngettext(
        "%(count)s failed task discarded.", "%(count)s failed tasks discarded.", count
    )
    return text % {"count": grouped(count)}


DONE = {"retry": retried, "discard": discarded}


def chosen_ids(request: HttpRequest, tasks: QuerySet[Any]) -> list[int]:
    """The ids that one act takes; warns the operator when there are more."""
    ids = list(tasks.values_list("pk", flat=True)[:MAX_AT_ONCE])
    if len(ids) == MAX_AT_ONCE and (count := tasks.count()) > MAX_AT_ONCE:
        messages.warning(
            request,
            gettext(
                "%(count)s failed tasks are chosen, and one act settles at most "
                "%(most)s: repeat it for the rest."
            )
            % {"count": grouped(count), "most": grouped(MAX_AT_ONCE)},
        )
    return ids


def posted_ids(text: str) -> list[int]:
    """The ids that the form carries; what is no number is left out."""
    numbers: Iterable[int | None] = map(whole_number, text.split(","))
    return [number for number in numbers if number is not None][:MAX_AT_ONCE]


def notify(request: HttpRequest, verb: str, settled: Settled) -> None:
    done, refused = len(settled.settled), settled.refused
    if done:
        messages.success(request, DONE[verb](done))
    for task_id, why in refused[:MAX_LISTED]:
        message = gettext("Failed task %(task)s: %(why)s")
        messages.warning(request, message % {"task": task_id, "why": why})
    if len(refused) > MAX_LISTED:
        more = len(refused) - MAX_LISTED
        message = ngettext(
            "%(count)s more was not changed, for a similar reason.",
            "%(count)s more were not changed, for similar reasons.",
            more,
        )
        messages.warning(request, message % {"count": grouped(more)})
