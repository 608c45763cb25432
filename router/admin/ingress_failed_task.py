"""The screens of messages that a bridge took and that are no valid event."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from router.admin.acting import actor, require
from router.admin.failed_task import (
    MAX_LISTED,
    RemediationAdmin,
    chosen_ids,
    notify,
    posted_ids,
)
from router.admin.failed_task_forms import NoteForm, no_json
from router.contract.errors import NotOpen, RouterError
from router.contract.json_text import parse
from router.display import ago, badge, first_line
from router.models import IngressFailedTask, IngressState
from router.observe.wording import grouped
from router.operate.ingress import (
    discard_ingress,
    discard_ingress_tasks,
    proposed_event,
    publish_ingress,
)

TEMPLATE = "router/admin/ingress_failed_task.html"


class IngressForm(forms.Form):
    event = forms.CharField(
        label=_("Event"),
        required=False,
        widget=forms.Textarea({"rows": 16, "spellcheck": "false"}),
        help_text=_(
            "In CloudEvents' JSON format. Publish sends it in place of the "
            "message; Discard does not look at it."
        ),
    )
    note = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        error_messages={"required": _("Say why: the reason is kept with the message.")},
    )

    def clean_event(self) -> Any:
        try:
            return parse(self.cleaned_data["event"] or "null")
        except RouterError as error:
            raise forms.ValidationError(str(error)) from None
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(no_json(error)) from None


def _discard_offered(count: int) -> str:
    text = ngettext("Discard %(count)s message", "Discard %(count)s messages", count)
    return text % {"count": grouped(count)}


@admin.register(IngressFailedTask)
class IngressFailedTaskAdmin(RemediationAdmin):
    actions: Any = ("discard_selected",)
    list_acts = ((_("Discard…"), "remediate_failedtask"),)
    detail_template = TEMPLATE
    empty_list_hint = _(
        "What a bridge takes from a foreign router and can't publish appears here, "
        "with its bytes. Bridges are in settings.ROUTER['BRIDGES']."
    )
    list_display = ("id", "state_badge", "bridge", "name", "problem_line", "opened")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body")

    @admin.display(description=_("State"))
    def state_badge(self, task: IngressFailedTask) -> SafeString:
        return badge(task.state)

    @admin.display(description=_("Problem"))
    def problem_line(self, task: IngressFailedTask) -> str:
        return first_line(task.problem)[:90]

    @admin.display(description=_("Opened"))
    def opened(self, task: IngressFailedTask) -> SafeString:
        return ago(task.opened_at)

    @admin.action(description=_("Discard…"), permissions=["remediate"])
    def discard_selected(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse:
        return self.confirm(request, chosen_ids(request, queryset), NoteForm())

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(require_POST(self.discard_all_view))
        views = {
            "publish": require_POST(self.publish_view),
            "discard": require_POST(self.discard_view),
        }
        own = self.row_urls("remediate_failedtask", **views)
        discard_all = path(
            "discard/", view, name="router_ingressfailedtask_discard_all"
        )
        return [discard_all, *own, *super().get_urls()]

    def detail_context(
        self, request: HttpRequest, row: IngressFailedTask
    ) -> dict[str, Any]:
        return {
            "task": row,
            "size": len(row.body),
            "is_open": row.state == IngressState.OPEN,
            "form": IngressForm(initial={"event": proposed_event(row)}),
        }

    def publish_view(
        self, request: HttpRequest, row: IngressFailedTask
    ) -> HttpResponse:
        form = IngressForm(request.POST)
        if form.is_valid():
            values = form.cleaned_data
            try:
                published = publish_ingress(
                    row.pk, values["event"], by=actor(request), note=values["note"]
                )
            except NotOpen as error:
                messages.warning(request, str(error))
                return self.redirect_to(request, "change", row.pk)
            except RouterError as error:
                form.add_error("event", str(error))
            else:
                message = gettext("It is event #%(number)s now.")
                messages.success(request, message % {"number": published.number})
                return self.redirect_to(request, "change", row.pk)
        return self.rerender(request, row, form)

    def discard_view(
        self, request: HttpRequest, row: IngressFailedTask
    ) -> HttpResponse:
        note = IngressForm.base_fields["note"]
        try:
            reason = note.clean(request.POST.get("note", ""))
            discard_ingress(row.pk, by=actor(request), note=reason)
        except (NotOpen, forms.ValidationError) as error:
            messages.warning(
                request, " ".join(getattr(error, "messages", [str(error)]))
            )
        else:
            messages.success(request, gettext("It is discarded; its bytes stay here."))
        return self.redirect_to(request, "change", row.pk)

    def discard_all_view(self, request: HttpRequest) -> HttpResponse:
        require(request, "remediate_failedtask")
        ids, form = posted_ids(request.POST.get("ids", "")), NoteForm(request.POST)
        if not form.is_valid():
            return self.confirm(request, ids, form)
        note = form.cleaned_data["note"]
        settled = discard_ingress_tasks(ids, by=actor(request), note=note)
        notify(request, "discard", settled)
        return self.redirect_to(request, "changelist")

    def confirm(
        self, request: HttpRequest, ids: list[int], form: NoteForm
    ) -> HttpResponse:
        """The page that asks for the reason."""
        tasks = IngressFailedTask.objects.filter(pk__in=ids).defer("body")
        return self.confirmation(
            request,
            "router/admin/ingress_discard.html",
            _discard_offered(len(ids)),
            ids,
            tasks=tasks.order_by("-pk")[:MAX_LISTED],
            note_form=form,
        )

    def rerender(
        self, request: HttpRequest, row: IngressFailedTask, form: IngressForm
    ) -> HttpResponse:
        context = {**self.detail_context(request, row), "form": form}
        return self.page(request, TEMPLATE, row, context)
