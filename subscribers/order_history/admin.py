from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import TabularInline
from unfold.decorators import display

from subscribers.money import formatted
from subscribers.order_history.models import (
    DispatchRecord,
    PurchaseLine,
    PurchaseRecord,
)
from subscribers.order_search import OrderNumberSearch
from subscribers.read_only import FactAdmin


class LineInline(TabularInline):  # type: ignore[misc]  # unfold is not typed
    model = PurchaseLine
    fields = readonly_fields = ["quantity", "sku", "name", "total"]
    extra = 0
    hide_title = True
    can_delete = False

    @display(description=_("total"))
    def total(self, line: PurchaseLine) -> str:
        return formatted(line.total_minor, line.purchase.currency)

    def has_add_permission(self, request: HttpRequest, obj: Model | None) -> bool:
        return False


@admin.register(PurchaseRecord)
class PurchaseRecordAdmin(OrderNumberSearch, FactAdmin):
    list_display = ["order", "source", "customer_id", "total", "placed_at"]
    list_filter = ["placed_at", "currency"]
    search_fields = ["order_id__exact", "customer_id__exact"]
    search_help_text = _("Order number, or customer id, exactly")
    inlines = [LineInline]
    fields = [
        "order", "order_id", "customer_id", "placed_at", "total", "source", "event_id",
    ]  # fmt: skip

    @display(description=_("order"), ordering="order_number")
    def order(self, purchase: PurchaseRecord) -> str:
        return purchase.order

    @display(description=_("total"), ordering="total_minor")
    def total(self, purchase: PurchaseRecord) -> str:
        return formatted(purchase.total_minor, purchase.currency)


@admin.register(DispatchRecord)
class DispatchRecordAdmin(OrderNumberSearch, FactAdmin):
    list_display = ["order", "source", "carrier", "tracking_code", "dispatched_at"]
    list_filter = ["dispatched_at"]
    search_fields = ["order_id__exact", "tracking_code__exact"]
    search_help_text = _("Order number or tracking code, exactly")

    @display(description=_("order"), ordering="order_number")
    def order(self, dispatch: DispatchRecord) -> str:
        return dispatch.order
