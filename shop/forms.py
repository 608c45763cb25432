from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from shop import countries, mail_addresses, validation
from shop.payments.cards import Card, card_cvc, card_expiry, card_number

Read = TypeVar("Read")
REQUIRED = {"required": _("Please fill this in.")}


class CardInput(forms.PasswordInput):
    """What was typed never comes back in the page, but can be read while typing."""

    input_type = "text"


class MailAddressField(forms.EmailField):
    """Takes international domains too; its value is the address in ASCII."""

    # Django's rule takes addresses that no receipt reaches, such as a@[127.0.0.1].
    default_validators = []

    def to_python(self, value: Any) -> str:
        typed = super().to_python(value) or ""
        is_too_long = len(typed) > validation.EMAIL_LENGTH
        # What is too long is refused by its length, before costly rules read it.
        return typed if not typed or is_too_long else mail_addresses.normalised(typed)


class QuantityForm(forms.Form):
    quantity = forms.IntegerField(
        label=_("Quantity"),
        initial=1,
        min_value=1,
        max_value=validation.MAX_QUANTITY,
        error_messages={
            "required": _("How many would you like?"),
            "invalid": _("Write the quantity as a whole number, for example 2."),
            "min_value": _("Choose at least 1."),
            "max_value": _("We send at most %(limit_value)s of one item per order."),
        },
    )


def _text(
    label: Any,
    longest: int,
    autocomplete: str,
    *more_validators: Callable[[str], None],
    **options: Any,
) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=longest,
        validators=[
            validation.validate_printable,
            validation.validate_visible,
            validation.validate_no_web_address,
            *more_validators,
        ],
        widget=forms.TextInput(attrs={"autocomplete": autocomplete}),
        error_messages=REQUIRED,
        **options,
    )


def _card_text(
    label: Any, longest: int, autocomplete: str, hint: Any
) -> forms.CharField:
    attributes = {
        "autocomplete": autocomplete,
        "inputmode": "numeric",
        "placeholder": hint,
    }
    return forms.CharField(
        label=label,
        max_length=longest,
        widget=CardInput(attrs=attributes),
        error_messages=REQUIRED,
    )


class CheckoutForm(forms.Form):
    """Who buys, where it goes, which card pays. Limits are the event schema's."""

    name = _text(
        _("Full name"), validation.NAME_LENGTH, "name", validation.validate_person
    )
    email = MailAddressField(
        label=_("Email"),
        help_text=_("Your receipt goes here."),
        max_length=validation.EMAIL_LENGTH,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
        error_messages=REQUIRED,
    )
    line1 = _text(_("Address"), validation.LINE_LENGTH, "address-line1")
    line2 = _text(
        _("Flat, floor, band room (optional)"),
        validation.LINE_LENGTH,
        "address-line2",
        required=False,
    )
    postal_code = _text(_("Postal code"), validation.POSTAL_CODE_LENGTH, "postal-code")
    city = _text(_("Town or city"), validation.CITY_LENGTH, "address-level2")
    country = forms.ChoiceField(
        label=_("Country"),
        choices=countries.choices,
        initial="DE",
        widget=forms.Select(attrs={"autocomplete": "country"}),
        error_messages={"invalid_choice": _("Choose a country from the list.")},
    )
    card_number = _card_text(_("Card number"), 30, "cc-number", "4242 4242 4242 4242")
    card_expiry = _card_text(_("Valid until"), 9, "cc-exp", _("MM/YY"))
    card_cvc = _card_text(_("Security code"), 6, "cc-csc", "123")

    contact_fields = ("name", "email")
    address_fields = ("line1", "line2", "postal_code", "city", "country")
    card_fields = ("card_number", "card_expiry", "card_cvc")

    def clean_card_number(self) -> str:
        message = _("This is not a card number. Check the digits.")
        return self._card("card_number", card_number, message)

    def clean_card_expiry(self) -> date:
        message = _("Write month and year as on the card, for example 08/29.")
        ends = self._card("card_expiry", card_expiry, message)
        if ends <= timezone.localdate():
            raise ValidationError(_("This card is no longer valid. Use another one."))
        return ends

    def clean_card_cvc(self) -> str:
        message = _("These are the three or four digits printed on the card.")
        return self._card("card_cvc", card_cvc, message)

    def details(self) -> dict[str, str]:
        """The fields of an order that the customer typed."""
        names = (*self.contact_fields, *self.address_fields)
        return {name: self.cleaned_data[name] for name in names}

    def card(self) -> Card:
        typed = self.cleaned_data
        return Card(typed["card_number"], typed["card_expiry"], typed["card_cvc"])

    def groups(self) -> dict[str, list[forms.BoundField]]:
        return {
            "contact": [self[name] for name in self.contact_fields],
            "address": [self[name] for name in self.address_fields],
            "card": [self[name] for name in self.card_fields],
        }

    def _card(self, name: str, read: Callable[[str], Read], message: Any) -> Read:
        try:
            return read(self.cleaned_data[name])
        except ValueError:
            raise ValidationError(message) from None
