"""The screens of messages that a bridge took and that are no valid event."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from router.admin.acting import actor
from router.admin.base import ReadOnlyAdmin
from router.contract.errors import NotOpen, RouterError
from router.contract.json_text import parse
from router.display import ago, badge, first_line
from router.models import IngressFailedTask, IngressState
from router.operate.ingress import discard_ingress, proposed_event, publish_ingress

TEMPLATE = "router/admin/ingress_failed_task.html"


class IngressForm(forms.Form):
    event = forms.CharField(
        label="Event",
        required=False,
        widget=forms.Textarea({"rows": 16, "spellcheck": "false"}),
        help_text="In CloudEvents' JSON format. Publish sends it in place of the "
        "message; Discard does not look at it.",
    )
    note = forms.CharField(
        label="Reason",
        max_length=1000,
        error_messages={"required": "Say why: the reason is kept with the message."},
    )

    def clean_event(self) -> Any:
        try:
            return parse(self.cleaned_data["event"] or "null")
        except RouterError as error:
            raise forms.ValidationError(str(error)) from None
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(f"This is no JSON: {error}.") from None


@admin.register(IngressFailedTask)
class IngressFailedTaskAdmin(ReadOnlyAdmin):
    detail_template = TEMPLATE
    empty_list_hint = (
        "What a bridge takes from a foreign router and can't publish appears here, "
        "with its bytes. Bridges are in settings.ROUTER['BRIDGES']."
    )
    list_display = ("id", "state_badge", "bridge", "name", "problem_line", "opened")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("body")

    def has_remediate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("router.remediate_failedtask")

    @admin.display(description="State")
    def state_badge(self, task: IngressFailedTask) -> SafeString:
        return badge(task.state)

    @admin.display(description="Problem")
    def problem_line(self, task: IngressFailedTask) -> str:
        return first_line(task.problem)[:90]

    @admin.display(description="Opened")
    def opened(self, task: IngressFailedTask) -> SafeString:
        return ago(task.opened_at)

    def get_urls(self) -> list[URLPattern]:
        views = {
            "publish": require_POST(self.publish_view),
            "discard": require_POST(self.discard_view),
        }
        own = self.row_urls(self.has_remediate_permission, **views)
        return [*own, *super().get_urls()]

    def detail_context(
        self, request: HttpRequest, row: IngressFailedTask
    ) -> dict[str, Any]:
        is_open = row.state == IngressState.OPEN
        return {
            "task": row,
            "size": len(row.body),
            "may_settle": is_open and self.has_remediate_permission(request),
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
                messages.success(request, f"It is event #{published.number} now.")
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
            messages.success(request, "It is discarded; its bytes stay here.")
        return self.redirect_to(request, "change", row.pk)

    def rerender(
        self, request: HttpRequest, row: IngressFailedTask, form: IngressForm
    ) -> HttpResponse:
        context = {**self.detail_context(request, row), "form": form}
        return self.page(request, TEMPLATE, row, context)
