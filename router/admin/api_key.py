from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST

from router.admin.acting import ReasonForm, act, actor, reason_field
from router.admin.base import ReadOnlyAdmin
from router.contract.errors import NameTaken
from router.display import ago, badge
from router.models import ApiKey, Scope
from router.operate.api_keys import (
    BINDINGS,
    issue_key,
    patterns_in,
    reach_warnings,
    revoke_key,
)

#: What a key may be bound to → its word.
KINDS = {
    "sources": _("Sources"),
    "types": _("Event types"),
    "subscribers": _("Subscribers"),
}


class PatternsField(forms.CharField):
    """Comma-separated patterns, as a list."""

    def __init__(self, *, label: Any, help_text: Any) -> None:
        super().__init__(
            label=label, required=False, max_length=2000, help_text=help_text
        )

    def clean(self, value: object) -> list[str]:
        try:
            return patterns_in(super().clean(value))
        except ValueError as error:
            raise forms.ValidationError(f"{error}.".capitalize()) from None


class ApiKeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        help_text=_("Who will use it: one key for each client."),
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose what the key may do.")},
    )
    sources = PatternsField(
        label=KINDS["sources"],
        help_text=_(
            "Sources it may publish for, by commas: /partner, /shop/*; * for all."
        ),
    )
    types = PatternsField(
        label=KINDS["types"],
        help_text=_(
            "Event types it may publish, and its subscribers receive, by commas: "
            "parcel.*; * for all. Empty: all of the sources that it publishes for."
        ),
    )
    subscribers = PatternsField(
        label=KINDS["subscribers"],
        help_text=_(
            "Subscribers it may consume for or manage, by commas: erp, crm-*; * "
            "for all. Empty beside sources or types: none."
        ),
    )
    expires_in_days = forms.IntegerField(
        label=_("Expires in"),
        required=False,
        min_value=1,
        max_value=36_500,
        help_text=_("Days. Empty: never."),
    )
    calls_per_minute = forms.IntegerField(
        label=_("Calls a minute"),
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text=_("Empty: the router's setting."),
    )
    reason = reason_field()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        publishes = Scope.PUBLISH in cleaned.get("scopes", ())
        if publishes and cleaned.get("sources") == []:
            self.add_error(
                "sources",
                gettext("Name the sources that it publishes for, or write * for all."),
            )
        return cleaned

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        """All that follow the name and the permissions, shown alike."""
        return [field for field in self if field.name not in ("name", "scopes")]


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """Keys are created and revoked here; a key is shown once and never stored."""

    detail_template = "router/admin/api_key.html"
    add_form = ApiKeyForm
    add_template = "router/admin/api_key_add.html"
    add_title = _("New API key")
    empty_list_hint = _(
        "Create the first key: publishers need one for POST /api/events/."
    )
    list_acts = ((_("Add API key"), "add_apikey"),)
    list_display = ("name", "state_badge", "may", "bound", "created", "last_used")

    @admin.display(description=_("State"))
    def state_badge(self, key: ApiKey) -> SafeString:
        return badge(key.state)

    @admin.display(description=_("Permissions"))
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description=_("Bound to"))
    def bound(self, key: ApiKey) -> str:
        if not key.is_bound:
            return gettext("nothing: reaches all")
        named = [(kind, getattr(key, kind)) for kind in BINDINGS]
        return "; ".join(
            f"{KINDS[kind]}: {', '.join(each)}" for kind, each in named if each
        )

    @admin.display(description=_("Created"))
    def created(self, key: ApiKey) -> SafeString:
        return ago(key.created_at)

    @admin.display(description=_("Last used"))
    def last_used(self, key: ApiKey) -> SafeString:
        return ago(key.last_used_at)

    def detail_context(self, request: HttpRequest, row: ApiKey) -> dict[str, Any]:
        return {
            "key": row,
            "bindings": [(KINDS[kind], row.patterns(kind)) for kind in BINDINGS],
            "warnings": reach_warnings(row),
            "reason_form": ReasonForm(),
        }

    @sensitive_variables("text")
    def add(self, request: HttpRequest, form: ApiKeyForm) -> HttpResponse | None:
        issued = _issued(form, by=actor(request))
        if issued is None:
            return None
        key, text = issued
        self.log_addition(request, key, f"Created with {', '.join(key.scopes)}")
        context = {
            "title": self.add_title,
            "key": key,
            "text": text,
            "warnings": reach_warnings(key),
        }
        return self.page(request, "router/admin/api_key_shown.html", None, context)

    def get_urls(self) -> list[URLPattern]:
        revoke = require_POST(self.revoke_view)
        own = self.row_urls("change_apikey", revoke=revoke)
        return [*own, *super().get_urls()]

    def revoke_view(self, request: HttpRequest, key: ApiKey) -> HttpResponse:
        if revoke_key(key, **act(request)):
            self.log_change(request, key, "Revoked")
            message = gettext("%(key)s is revoked: it opens nothing any more.")
            messages.success(request, message % {"key": key})
        else:
            message = gettext("%(key)s was revoked already; nothing changed.")
            messages.warning(request, message % {"key": key})
        return self.redirect_to(request, "change", key.pk)


@sensitive_variables("issued")
def _issued(form: ApiKeyForm, *, by: str) -> tuple[ApiKey, str] | None:
    """The key and its text, or None with the reason in the form."""
    values = form.cleaned_data
    try:
        issued = issue_key(
            values["name"],
            scopes=values["scopes"],
            by=by,
            reason=values["reason"],
            bindings={kind: values[kind] for kind in BINDINGS},
            expires_in_days=values["expires_in_days"],
            calls_per_minute=values["calls_per_minute"],
        )
    except NameTaken as error:
        form.add_error("name", str(error))
        return None
    return issued
