"""The form with which staff book in what the makers delivered."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from subscribers.inventory.models import StockLevel, StockMovement

if TYPE_CHECKING:
    MovementForm = forms.ModelForm[StockMovement]
else:
    MovementForm = forms.ModelForm


class ReceiveStockForm(MovementForm):
    """What came in. Its token makes a form that is sent twice count once."""

    name = forms.CharField(
        label=_("Name"),
        required=False,
        help_text=_("Needed for a product that is new to the stock room."),
        widget=UnfoldAdminTextInputWidget(),
    )
    quantity = forms.IntegerField(
        label=_("Quantity"),
        min_value=1,
        max_value=1_000_000,
        widget=UnfoldAdminIntegerFieldWidget(),
    )
    token = forms.UUIDField(label="", widget=forms.HiddenInput(), initial=uuid.uuid4)

    class Meta:
        model = StockMovement
        fields = ["sku"]

    def clean(self) -> dict[str, Any] | None:
        given = super().clean() or self.cleaned_data
        is_new = not StockLevel.objects.filter(sku=given.get("sku", "")).exists()
        if is_new and given.get("sku") and not given.get("name"):
            self.add_error("name", _("This SKU is new: give the product a name."))
        return given
