from __future__ import annotations

from typing import Any

from django import forms

from router.admin.subscriber.forms import reason_field
from router.models import Scope
from router.operate.api_keys import patterns_in


class PatternsField(forms.CharField):
    """Comma-separated patterns, as a list."""

    def __init__(self, *, help_text: str) -> None:
        super().__init__(required=False, max_length=2000, help_text=help_text)

    def clean(self, value: object) -> list[str]:
        try:
            return patterns_in(super().clean(value))
        except ValueError as error:
            raise forms.ValidationError(f"{error}.".capitalize()) from None


class ApiKeyForm(forms.Form):
    name = forms.CharField(
        max_length=100, help_text="Who will use it: one key for each client."
    )
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose what the key may do."},
    )
    sources = PatternsField(
        help_text="Sources it may publish for, by commas: /partner, /shop/*; * for all."
    )
    types = PatternsField(
        help_text="Event types it may publish, and its subscribers hear, by commas: "
        "parcel.*; * for all. Empty: all of the sources that it publishes for."
    )
    subscribers = PatternsField(
        help_text="Subscribers it may consume for or manage, by commas: erp, crm-*; * "
        "for all. Empty beside sources or types: none."
    )
    expires_in_days = forms.IntegerField(
        label="Expires in",
        required=False,
        min_value=1,
        max_value=36_500,
        help_text="Days. Empty: never.",
    )
    calls_per_minute = forms.IntegerField(
        label="Calls a minute",
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="Empty: the router's setting.",
    )
    reason = reason_field()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        publishes = Scope.PUBLISH in cleaned.get("scopes", ())
        if publishes and cleaned.get("sources") == []:
            self.add_error(
                "sources", "Name the sources that it publishes for, or write * for all."
            )
        return cleaned

    @property
    def plain_fields(self) -> list[forms.BoundField]:
        """All that follow the name and the permissions, shown alike."""
        return [field for field in self if field.name not in ("name", "scopes")]
