"""The screens of the audit: the list, and one entry with its diff and notes."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from router.admin.acting import actor
from router.admin.base import ReadOnlyAdmin
from router.admin.diff import changes_of
from router.admin.filters import (
    Choices,
    FailedAtFilter,
    RecordedFilter,
)
from router.display import NOTHING, ago, in_english
from router.models import AuditEntry, RampedRetry, Subscriber
from router.observe.audited import (
    acts,
    entries_of,
    has_row,
    notes_of,
    row_of,
    search_entries,
)
from router.operate.notes import note_entry

#: Notes that the page of an entry shows.
MAX_NOTES = 100


class ActFilter(admin.SimpleListFilter):
    title = _("act")
    parameter_name = "act"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(act, act) for act in acts()]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(action=self.value()) if self.value() else None


class ConcernsFilter(FailedAtFilter):
    """All that concerns a subscriber: its runs, deliveries and failed tasks too."""

    def narrowed(self, queryset: QuerySet[Any], key: int) -> QuerySet[Any]:
        row = Subscriber.objects.only("name").filter(pk=key).first()
        return queryset.filter(entries_of(row)) if row else queryset.none()


class ObjectFilter(admin.SimpleListFilter):
    """One object, named by the link on its page."""

    title = _("object")
    parameter_name = "object"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        chosen = request.GET.get(self.parameter_name, "")
        return [(chosen, chosen)] if chosen else []

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> QuerySet[Any] | None:
        return queryset.filter(target=self.value()) if self.value() else None


class NotedFilter(RecordedFilter):
    title = _("when")
    parameter_name = "when"
    field = "at"


class EntryNoteForm(forms.Form):
    note = forms.CharField(
        label=_("Note"),
        max_length=1000,
        widget=forms.Textarea({"rows": 3}),
        help_text=_(
            "Kept as long as the audit, for ever: write no data of a customer."
        ),
    )


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, and why."""

    detail_template = "router/admin/audit_entry.html"
    empty_list_hint = _(
        "When a person or a program creates or revokes an API key, changes, pauses or "
        "tests a subscriber, or settles a failed task, by API, here or by command, a "
        "line appears here."
    )
    list_display = ("moment", "actor", "act", "about", "noted", "reason")
    list_display_links = ("moment",)
    list_filter = (ActFilter, ConcernsFilter, NotedFilter, ObjectFilter)
    search_fields = ("id",)
    search_help_text = _("Who, act, object, number, subscriber, day")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        return queryset.filter(search_entries(search_term)), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        return super().get_queryset(request).defer("changes")

    @admin.display(description=_("When"))
    def moment(self, entry: AuditEntry) -> SafeString:
        return ago(entry.at)

    @admin.display(description=_("Action"))
    def act(self, entry: AuditEntry) -> SafeString:
        return in_english(entry.action)

    @admin.display(description=_("Detail"))
    def noted(self, entry: AuditEntry) -> SafeString:
        return in_english(entry.detail or NOTHING)

    @admin.display(description=_("Object"))
    def about(self, entry: AuditEntry) -> SafeString:
        if not has_row(entry):
            return in_english(entry.target)
        # It is looked up when the link is followed: each would cost a query here.
        link = '<a href="{}" lang="en">{}</a>'
        return format_html(link, self.url("object", entry.pk), entry.target)

    def detail_context(self, request: HttpRequest, row: AuditEntry) -> dict[str, Any]:
        return {
            "has_row": has_row(row),
            "subscriber": Subscriber.objects.known()
            .filter(pk__in=[row.subscriber_id])
            .first(),
            "changes": changes_of(row.changes),
            "notes": notes_of(row)[:MAX_NOTES],
            "form": EntryNoteForm(),
            # The notes are all that the audit has of an entry.
            "audit_url": "",
        }

    def get_urls(self) -> list[URLPattern]:
        return [
            *self.row_urls("view_auditentry", object=require_safe(self.object_view)),
            *self.row_urls("add_auditentry", note=require_POST(self.note_view)),
            *super().get_urls(),
        ]

    def object_view(self, request: HttpRequest, entry: AuditEntry) -> HttpResponse:
        row: Any = row_of(entry)
        if isinstance(row, RampedRetry):
            row = row.group or row.subscriber
        if row is None:
            raise Http404(
                gettext("There is no %(object)s any more.") % {"object": entry.target}
            )
        page = f"admin:router_{row._meta.model_name}_change"
        return HttpResponseRedirect(reverse(page, args=[row.pk]))

    def note_view(self, request: HttpRequest, entry: AuditEntry) -> HttpResponse:
        form = EntryNoteForm(request.POST)
        if not form.is_valid():
            context = {**self.detail_context(request, entry), "form": form}
            return self.page(request, self.detail_template, entry, context)
        note_entry(entry, by=actor(request), note=form.cleaned_data["note"])
        messages.success(request, gettext("The note is added."))
        return self.redirect_to(request, "change", entry.pk)
