"""Changes of accounts and groups, which decide who may do what, in the audit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.admin import ModelAdmin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from router.flow import audit

if TYPE_CHECKING:
    AnyAdmin = ModelAdmin[Any]
else:
    AnyAdmin = object


class AuditedAdmin(AnyAdmin):
    """The audit gets a line for each row that is created, changed or deleted here."""

    #: What the audit calls a row, and the fields whose values it keeps.
    audited_as: str
    audited_fields: tuple[str, ...]

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        changes = {
            name: (_shown(form.initial.get(name)), _shown(form.cleaned_data[name]))
            for name in form.changed_data
            if name in self.audited_fields
        }
        verb = "changed" if change else "created"
        self.note(request, verb, form.instance, changes=changes)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        with transaction.atomic():
            self.note(request, "deleted", obj)
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                self.note(request, "deleted", row)
            super().delete_queryset(request, queryset)

    def note(self, request: HttpRequest, verb: str, row: Model, **options: Any) -> None:
        """Add the line, in the transaction of the change."""
        target = f"{self.audited_as} {row}"
        by = f"user {request.user.get_username()}"
        audit.note(f"{self.audited_as}.{verb}", target, by=by, **options)


def _shown(value: Any) -> Any:
    """Related rows by their names."""
    is_rows = isinstance(value, Iterable) and not isinstance(value, str)
    return sorted(map(str, value)) if is_rows else value
