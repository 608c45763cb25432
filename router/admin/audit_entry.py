from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from router.admin.base import ReadOnlyAdmin
from router.display import ago
from router.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what, and why; the list shows each entry whole."""

    detail_template = "router/admin/audit_entry.html"
    empty_list_hint = (
        "When a person or a program creates or revokes an API key, changes, pauses or "
        "tests a subscriber, or settles a failed task, by API, here or by command, a "
        "line appears here."
    )
    list_display = ("moment", "actor", "action", "target", "detail", "reason")
    list_display_links = None

    @admin.display(description="When")
    def moment(self, entry: AuditEntry) -> SafeString:
        return ago(entry.at)
