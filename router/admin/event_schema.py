from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from router.admin.acting import ReasonForm, act, actor, reason_field
from router.admin.base import ReadOnlyAdmin
from router.contract.errors import InvalidSchema, SchemaConflict
from router.display import ago, badge, in_english
from router.models import EventSchema
from router.operate.schemas import register_schema, retire_schema


class SchemaForm(forms.Form):
    type = forms.CharField(
        label=_("Event type"),
        max_length=255,
        help_text=_("Such as purchase.completed."),
    )
    schema = forms.JSONField(
        label=_("JSON Schema"),
        widget=forms.Textarea({"rows": 16, "spellcheck": "false"}),
        help_text=_("Draft 2020-12, with an $id that names this version for good."),
    )
    reason = reason_field()

    def refuse(self, error: InvalidSchema) -> None:
        """Put each problem to the field that it points into."""
        for pointer, problem in error.problems:
            name = "type" if pointer == "/type" else "schema"
            where = pointer.removeprefix(f"/{name}")
            self.add_error(name, in_english(f"{where} {problem}".strip()))


@admin.register(EventSchema)
class EventSchemaAdmin(ReadOnlyAdmin):
    """Versions side by side; none is ever changed, since recorded events name them."""

    detail_template = "router/admin/event_schema.html"
    add_form = SchemaForm
    add_template = "router/admin/event_schema_add.html"
    add_title = _("New schema")
    empty_list_hint = _(
        "Register a schema here or by POST /api/schemas/, and events of its type are "
        'checked at publish. The files of ROUTER["SCHEMAS"] are not listed.'
    )
    list_acts = ((_("Add schema"), "add_eventschema"),)
    list_display = ("dataschema", "type", "state_badge", "registered")
    search_fields = ("type",)
    search_help_text = _("Event type, exactly")

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventSchema]:
        return super().get_queryset(request).defer("schema")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(type=term) if term else queryset), False

    @admin.display(description=_("State"))
    def state_badge(self, schema: EventSchema) -> SafeString:
        return badge("retired" if schema.retired_at else "in_force")

    @admin.display(description=_("Registered"))
    def registered(self, schema: EventSchema) -> SafeString:
        return ago(schema.created_at)

    def detail_context(self, request: HttpRequest, row: EventSchema) -> dict[str, Any]:
        return {"reason_form": ReasonForm()}

    def get_urls(self) -> list[URLPattern]:
        retire = require_POST(self.retire_view)
        own = self.row_urls("change_eventschema", retire=retire)
        return [*own, *super().get_urls()]

    def retire_view(self, request: HttpRequest, row: EventSchema) -> HttpResponse:
        if retire_schema(row, **act(request)):
            self.log_change(request, row, "Retired")
            message = gettext("%(schema)s is retired: it no longer refuses events.")
            messages.success(request, message % {"schema": row})
        else:
            message = gettext("%(schema)s was retired already; nothing changed.")
            messages.warning(request, message % {"schema": row})
        return self.redirect_to(request, "change", row.pk)

    def add(self, request: HttpRequest, form: SchemaForm) -> HttpResponse | None:
        row = self.registered_by(request, form)
        return HttpResponseRedirect(self.url("change", row.pk)) if row else None

    def registered_by(
        self, request: HttpRequest, form: SchemaForm
    ) -> EventSchema | None:
        """The schema's row, or None with the reasons in the form."""
        values = form.cleaned_data
        try:
            row, is_new = register_schema(
                values.pop("type"), values.pop("schema"), by=actor(request), **values
            )
        except InvalidSchema as error:
            form.refuse(error)
            return None
        except SchemaConflict as error:
            form.add_error("schema", str(error))
            return None
        if is_new:
            self.log_addition(request, row, "Registered")
        message = (
            gettext("%(schema)s is registered.")
            if is_new
            else gettext("%(schema)s was known already; nothing changed.")
        )
        messages.success(request, message % {"schema": row})
        return row
