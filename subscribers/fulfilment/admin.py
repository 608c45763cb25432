from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display

from subscribers.fulfilment.models import Shipment, ShipmentLine, ShipmentState
from subscribers.fulfilment.shipping import label, pack, ship
from subscribers.fulfilment.views import pick_lists
from subscribers.order_search import OrderNumberSearch

COLOURS = {
    ShipmentState.PICKING: "info",
    ShipmentState.PACKED: "warning",
    ShipmentState.SHIPPED: "success",
}
LABEL_FIELDS = ["carrier", "tracking_code"]


class PickListInline(TabularInline):  # type: ignore[misc]  # unfold is not typed
    model = ShipmentLine
    fields = readonly_fields = ["quantity", "sku", "name"]
    extra = 0
    hide_title = True
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None) -> bool:
        return False

    def has_change_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False


@admin.register(Shipment)
class ShipmentAdmin(OrderNumberSearch, ModelAdmin):  # type: ignore[misc]  # unfold is not typed
    list_display = ["public_id", "order", "shown_state", "carrier", "created_at"]
    list_filter = ["state", "created_at"]
    search_fields = ["public_id__exact", "order_id__exact", "tracking_code__exact"]
    search_help_text = _("Order number, shipment or tracking code, exactly")
    show_full_result_count = False
    list_per_page = 50
    inlines = [PickListInline]
    fields = [
        "public_id", "order", "order_id", "state", "written_address", *LABEL_FIELDS,
        "source", "created_at", "packed_at", "shipped_at",
    ]  # fmt: skip
    actions = ["print_pick_lists", "mark_packed", "mark_shipped"]
    actions_detail = ["pick_list"]
    actions_submit_line = ["pack_this", "ship_this"]

    @display(description=_("order"), ordering="order_number")
    def order(self, shipment: Shipment) -> str:
        return shipment.order

    @display(description=_("state"), ordering="state", label=COLOURS)
    def shown_state(self, shipment: Shipment) -> tuple[str, str]:
        return shipment.state, shipment.get_state_display()

    @display(description=_("address"))
    def written_address(self, shipment: Shipment) -> str:
        return "\n".join(shipment.address_lines)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(
        self, request: HttpRequest, obj: Model | None = None
    ) -> bool:
        return False

    def get_readonly_fields(
        self, request: HttpRequest, obj: Shipment | None = None
    ) -> list[str]:
        has_left = obj is not None and obj.state == ShipmentState.SHIPPED
        return [n for n in self.fields if has_left or n not in LABEL_FIELDS]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(pick_lists)
        return [
            path("pick-lists/", view, name="fulfilment_pick_lists"),
            *super().get_urls(),
        ]

    @admin.action(description=_("Print pick lists"), permissions=["view"])
    def print_pick_lists(
        self, request: HttpRequest, queryset: QuerySet[Shipment]
    ) -> HttpResponse:
        return _to_pick_lists([str(pk) for pk in queryset.values_list("pk", flat=True)])

    @action(description=_("Pick list"), url_path="pick-list", permissions=["view"])
    def pick_list(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return _to_pick_lists([object_id])

    @admin.action(description=_("Mark as packed"), permissions=["change"])
    def mark_packed(self, request: HttpRequest, queryset: QuerySet[Shipment]) -> None:
        chosen = list(queryset.values_list("pk", flat=True))
        self._notify_packed(request, pack(chosen), len(chosen))

    @admin.action(description=_("Mark as shipped"), permissions=["change"])
    def mark_shipped(self, request: HttpRequest, queryset: QuerySet[Shipment]) -> None:
        chosen = list(queryset.values_list("pk", flat=True))
        self._notify_shipped(request, sum(map(ship, chosen)), len(chosen))

    def save_model(
        self, request: HttpRequest, obj: Shipment, form: Any, change: bool
    ) -> None:
        """Write the label, never the whole row: somebody may have moved it on."""
        given = {name: form.cleaned_data.get(name, "") for name in LABEL_FIELDS}
        if form.changed_data and not label(obj.pk, **given):
            self.message_user(
                request, _("This parcel has left; its label stays as it is."),
                messages.WARNING,
            )  # fmt: skip
        for pressed in self.get_actions_submit_line(request, obj.pk):
            if pressed.action_name in request.POST:
                pressed.method(request, obj)

    @action(description=_("Save and mark as packed"), permissions=["change"])
    def pack_this(self, request: HttpRequest, obj: Shipment) -> None:
        self._notify_packed(request, pack([obj.pk]), 1)

    @action(description=_("Save and mark as shipped"), permissions=["change"])
    def ship_this(self, request: HttpRequest, obj: Shipment) -> None:
        self._notify_shipped(request, int(ship(obj.pk)), 1)

    def _notify_packed(self, request: HttpRequest, done: int, chosen: int) -> None:
        if done:
            message = ngettext(
                "%d shipment is packed.", "%d shipments are packed.", done
            )
            self.message_user(request, message % done, messages.SUCCESS)
        if left := chosen - done:
            message = ngettext(
                "%d was not being picked (any more); nothing was changed there.",
                "%d were not being picked (any more); nothing was changed there.",
                left,
            )
            self.message_user(request, message % left, messages.WARNING)

    def _notify_shipped(self, request: HttpRequest, done: int, chosen: int) -> None:
        if done:
            message = ngettext("%d shipment is on its way.",
                            "%d shipments are on their way.", done)  # fmt: skip
            self.message_user(request, message % done, messages.SUCCESS)
        if left := chosen - done:
            message = ngettext(
                "%d was not packed, or has left before; nothing was changed there.",
                "%d were not packed, or have left before; nothing was changed there.",
                left,
            )
            self.message_user(request, message % left, messages.WARNING)


def _to_pick_lists(shipment_ids: list[str]) -> HttpResponse:
    address = reverse("admin:fulfilment_pick_lists")
    return HttpResponseRedirect(f"{address}?ids={','.join(shipment_ids)}")
