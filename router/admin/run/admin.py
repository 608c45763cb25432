"""The screens of runs: the list, and one run with what staff do to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from router.admin.acting import ReasonForm, act, actor, unchanged
from router.admin.base import ReadOnlyAdmin
from router.admin.filters import FailedAtFilter
from router.admin.run.forms import RateForm
from router.contract.digest import digest_text
from router.contract.errors import DoesNotApply
from router.display import ago, badge, number
from router.flow.breaker.held import held_because
from router.models import Run
from router.observe.run_progress import percent_of, progress_of
from router.operate.runs import cancel_run, pause_run, resume_run, set_rate


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    detail_template = "router/admin/run.html"
    empty_list_hint = _(
        "A run gives a subscriber events of the past. Open a subscriber and choose "
        "Load history, or Replay."
    )
    list_display = (
        "name",
        "state_badge",
        "subscriber",
        "share",
        "events_given",
        "begun",
        "requested_by",
        "reason",
    )
    list_select_related = ("subscriber",)
    list_filter = (FailedAtFilter,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        rows: Any = super().get_queryset(request)
        runs: QuerySet[Run] = rows.with_position().with_imported().with_open_count()
        return runs.defer("subscriber__custom_headers")

    def get_urls(self) -> list[URLPattern]:
        views = {
            "pause": self.pause_view,
            "resume": self.resume_view,
            "rate": self.rate_view,
            "cancel": self.cancel_view,
        }
        posts = {name: require_POST(view) for name, view in views.items()}
        return [
            *self.row_urls("change_subscriber", **posts),
            *super().get_urls(),
        ]

    @admin.display(description=_("Run"))
    def name(self, run: Run) -> str:
        return str(run)

    @admin.display(description=_("State"))
    def state_badge(self, run: Run) -> SafeString:
        return badge(run.state)

    @admin.display(description=_("Done"))
    def share(self, run: Any) -> str:
        return f"{percent_of(run)} %"

    @admin.display(description=_("Events given"))
    def events_given(self, run: Run) -> str:
        return number(run.count)

    @admin.display(description=_("Begun"))
    def begun(self, run: Run) -> SafeString:
        return ago(run.created_at)

    def changeform_view(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """The page; one that moves by itself is loaded anew when the state is another
        than the page has: its buttons are."""
        response = super().changeform_view(request, *args, **kwargs)
        seen = request.GET.get("seen")
        context = getattr(response, "context_data", None) or {}
        if seen and "run" in context and context["run"].state != seen:
            response["HX-Refresh"] = "true"
        return response

    def detail_context(self, request: HttpRequest, row: Run) -> dict[str, Any]:
        progress = progress_of(row)
        limit = row.rate_per_second
        rate = {"rate_per_second": "" if limit is None else f"{limit:g}"}
        return {
            "title": gettext("%(run)s of %(subscriber)s")
            % {"run": row, "subscriber": row.subscriber},
            "name": self.name(row),
            "run": row,
            "progress": progress,
            "percent": int(100 * progress.fraction),
            "digest": digest_text(row.digest),
            "held_because": held_because(row.subscriber),
            "reason_form": ReasonForm(auto_id="id_act_%s"),
            "cancel_form": ReasonForm(auto_id="id_cancel_%s"),
            "rate_form": RateForm(initial=rate, auto_id="id_rate_%s"),
        }

    def pause_view(self, request: HttpRequest, row: Run) -> HttpResponse:
        message = gettext("The run is paused; deliveries that are made already go on.")
        return self._act(request, row, pause_run, message, **act(request))

    def resume_view(self, request: HttpRequest, row: Run) -> HttpResponse:
        message = gettext("The run goes on.")
        return self._act(request, row, resume_run, message, **act(request))

    def cancel_view(self, request: HttpRequest, row: Run) -> HttpResponse:
        message = gettext("The run is cancelled; what it gave stays given.")
        return self._act(request, row, cancel_run, message, **act(request))

    def rate_view(self, request: HttpRequest, row: Run) -> HttpResponse:
        form = RateForm(request.POST, auto_id="id_rate_%s")
        if not form.is_valid():
            context = {**self.detail_context(request, row), "rate_form": form}
            return self.page(request, self.detail_template, row, context)
        values = form.cleaned_data
        rate, reason = values["rate_per_second"], values["reason"]
        message = gettext("The rate is saved and applies from now.")
        by = actor(request)
        return self._act(
            request, row, set_rate, message, rate=rate, by=by, reason=reason
        )

    def _act(
        self,
        request: HttpRequest,
        row: Run,
        change: Callable[..., None],
        message: str,
        **options: Any,
    ) -> HttpResponse:
        try:
            change(row.pk, **options)
        except DoesNotApply as error:
            messages.warning(request, unchanged(error))
        else:
            self.log_change(request, row, message)
            messages.success(request, message)
        return self.redirect_to(request, "change", row.pk)
