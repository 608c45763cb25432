from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString

from router.admin.base import ReadOnlyAdmin, who
from router.admin.forms import reason_field
from router.contract.errors import InvalidSchema, SchemaConflict
from router.flow.describing import register_schema
from router.models import EventSchema
from router.telling import ago


class SchemaForm(forms.Form):
    type = forms.CharField(
        label="Event type", max_length=255, help_text="Such as purchase.completed."
    )
    schema = forms.JSONField(
        label="JSON Schema",
        widget=forms.Textarea({"rows": 16, "spellcheck": "false"}),
        help_text="Draft 2020-12, with an $id that names this version for good.",
    )
    reason = reason_field()

    def refuse(self, error: InvalidSchema) -> None:
        """Put each problem to the field that it points into."""
        for pointer, told in error.problems:
            name = "type" if pointer == "/type" else "schema"
            where = pointer.removeprefix(f"/{name}")
            self.add_error(name, f"{where} {told}".strip())


@admin.register(EventSchema)
class EventSchemaAdmin(ReadOnlyAdmin):
    """Versions side by side; none is ever changed, since recorded events name them."""

    detail_template = "router/admin/event_schema.html"
    empty_list_hint = (
        "Register a schema here or by POST /api/schemas/, and events of its type are "
        'checked at publish. The files of ROUTER["SCHEMAS"] are not listed.'
    )
    list_display = ("dataschema", "type", "registered")
    search_fields = ("type",)
    search_help_text = "Event type, exactly"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("router.add_eventschema")

    def get_queryset(self, request: HttpRequest) -> QuerySet[EventSchema]:
        return super().get_queryset(request).defer("schema")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(type=term) if term else queryset), False

    @admin.display(description="Registered")
    def registered(self, schema: EventSchema) -> SafeString:
        return ago(schema.created_at)

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = SchemaForm(request.POST or None)
        row = self.registered_by(request, form) if form.is_valid() else None
        if row is None:
            context = {"form": form, "title": "New schema"}
            template = "router/admin/event_schema_add.html"
            return self.page(request, template, None, context)
        return HttpResponseRedirect(self.url("change", row.pk))

    def registered_by(
        self, request: HttpRequest, form: SchemaForm
    ) -> EventSchema | None:
        """The schema's row, or None with the reasons in the form."""
        said = form.cleaned_data
        try:
            row, is_new = register_schema(
                said["type"], said["schema"], by=who(request), reason=said["reason"]
            )
        except InvalidSchema as error:
            form.refuse(error)
            return None
        except SchemaConflict as error:
            form.add_error("schema", str(error))
            return None
        if is_new:
            self.log_addition(request, row, "Registered")
        told = "is registered" if is_new else "was registered before; nothing changed"
        messages.success(request, f"{row} {told}.")
        return row
