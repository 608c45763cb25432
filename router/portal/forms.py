"""What an owner may send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from router.models import Subscriber
from router.transports.webhook.urls import MAX_URL_LENGTH

MAX_KEY_DAYS = 3650
#: With the longest name of a subscriber, what a key's own name takes.
MAX_KEY_LABEL = 35


class AddressForm(forms.Form):
    """The whole address: the old one is shown without its secrets."""

    url = forms.CharField(
        label=_("New address"),
        max_length=MAX_URL_LENGTH,
        widget=forms.URLInput({"placeholder": "https://", "autocomplete": "off"}),
        help_text=_("https, reachable from the internet."),
    )


class TypesForm(forms.Form):
    """The event types, among those that the operator allows."""

    events = forms.MultipleChoiceField(
        label=_("Event types"),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": _("Choose at least one.")},
    )

    def __init__(
        self, data: Any = None, *, subscriber: Subscriber, choices: Sequence[str]
    ) -> None:
        super().__init__(data, initial={"events": subscriber.events})
        self.fields["events"].choices = [(each, each) for each in choices]  # type: ignore[attr-defined]  # of its kind


class RotateForm(forms.Form):
    end_old_secrets = forms.BooleanField(
        label=_("End older secrets now"),
        required=False,
        help_text=_("Those that an earlier rotation kept. The present one stays."),
    )


class RecoverForm(forms.Form):
    since = forms.DateTimeField(
        label=_("Since (UTC)"),
        widget=forms.DateTimeInput({"type": "datetime-local"}),
        help_text=_("When the receiver began to lose events."),
    )


class KeyForm(forms.Form):
    label = forms.CharField(
        label=_("Name"),
        max_length=MAX_KEY_LABEL,
        widget=forms.TextInput({"autocomplete": "off"}),
        help_text=_("Which program will use it."),
    )
    expires_in_days = forms.IntegerField(
        label=_("Expires in (days)"),
        required=False,
        min_value=1,
        max_value=MAX_KEY_DAYS,
        help_text=_("Empty: never."),
    )
