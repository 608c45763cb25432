"""The two pages on which a person begins a run of a subscriber, after a preview."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext

from router.admin.acting import actor
from router.admin.base import ReadOnlyAdmin
from router.admin.run.forms import BackfillForm, ReplayForm, RunForm
from router.contract.errors import DoesNotApply, InvalidRun, NotConfirmed
from router.display import effect_of
from router.models import Run, RunKind, Subscriber
from router.observe.run_progress import newest_runs
from router.operate.run_preview import RunPreview, preview_run
from router.operate.run_request import RunRequest, needs_confirmation
from router.operate.runs import begin_run

TEMPLATE = "router/admin/run_begin.html"
#: Fields that change nothing of what is given.
BESIDE = {
    "csrfmiddlewaretoken", "reason", "confirm", "begin", "preview", "previewed",
}  # fmt: skip
#: What the fields have when nothing is entered.
AS_IT_IS = {("start", "beginning"), ("until", "now")}
#: Runs that a subscriber's page shows.
MAX_RUNS = 3


class RunViews(ReadOnlyAdmin):
    """Pages of a subscriber: load history, and replay; its own page shows its runs."""

    def page(
        self,
        request: HttpRequest,
        template: str,
        row: Any,
        context: dict[str, Any],
    ) -> TemplateResponse:
        if template == self.detail_template:
            context = {"runs": newest_runs(row, MAX_RUNS), **context}
        return super().page(request, template, row, context)

    def load_history_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        form = BackfillForm(request.POST or None, subscriber=row)
        return self._run_page(request, row, form, gettext("Load history"))

    def replay_view(self, request: HttpRequest, row: Subscriber) -> HttpResponse:
        form = ReplayForm(request.POST or None, subscriber=row)
        return self._run_page(request, row, form, gettext("Replay"))

    def _run_page(
        self, request: HttpRequest, row: Subscriber, form: RunForm, title: str
    ) -> HttpResponse:
        wanted, preview, refusal = _asked(form, row), None, ""
        if wanted is not None:
            try:
                preview = preview_run(row, wanted)
            except InvalidRun as error:
                form.refuse(error.problems)
            except DoesNotApply as error:
                refusal = str(error)
        is_seen = request.POST.get("previewed") == _fingerprint(request)
        if preview and wanted and is_seen and "begin" in request.POST:
            run = self._begin(request, row, form, wanted)
            if run is not None:
                return HttpResponseRedirect(
                    reverse("admin:router_run_change", args=[run.pk])
                )
        context = _context(request, row, form, preview)
        context |= {"title": f"{title}: {row}", "verb": title, "refusal": refusal}
        context["is_replay"] = form.kind == RunKind.REPLAY
        context["is_stale"] = "begin" in request.POST and not is_seen
        return self.page(request, TEMPLATE, row, context)

    def _begin(
        self, request: HttpRequest, row: Subscriber, form: RunForm, wanted: RunRequest
    ) -> Run | None:
        """The run; None, with the reason in the form, where it is refused."""
        values = form.cleaned_data
        is_confirmed = values.get("confirm", False)
        reason = values["reason"]
        try:
            run = begin_run(
                row, wanted, by=actor(request), reason=reason, is_confirmed=is_confirmed
            )
        except NotConfirmed:
            form.add_error("confirm", gettext("Confirm that it may."))
            return None
        except (DoesNotApply, InvalidRun) as error:
            form.add_error(None, str(error))
            return None
        messages.success(request, gettext("%(run)s has begun.") % {"run": run})
        self.log_change(request, row, f"{run} begun")
        return run


def _asked(form: RunForm, row: Subscriber) -> RunRequest | None:
    """What the form asks for; before it is sent, what it asks for as it is."""
    if not form.is_bound:
        return RunRequest(kind=form.kind)
    return form.request() if form.is_valid() else None


def _context(
    request: HttpRequest, row: Subscriber, form: RunForm, preview: RunPreview | None
) -> dict[str, Any]:
    context = {"subscriber": row, "form": form, "preview": preview}
    if preview is not None:
        asked = _asked(form, row) or RunRequest(kind=form.kind)
        context["effect"] = effect_of(row, preview)
        context["needs_confirmation"] = needs_confirmation(row, asked)
        context["previewed"] = _fingerprint(request)
    return context


def _fingerprint(request: HttpRequest) -> str:
    """Of the fields that decide what is given; it tells whether a preview is of them.

    A page that was not sent has the fields as they are when nothing is entered.
    """
    fields = sorted(
        (name, value.strip())
        for name, values in request.POST.lists()
        if name not in BESIDE
        for value in values
        if value.strip() and (name, value) not in AS_IT_IS
    )
    return sha256(repr(fields).encode()).hexdigest()
