from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action, display

from subscribers.inventory.forms import ReceiveStockForm
from subscribers.inventory.models import Reason, StockLevel, StockMovement
from subscribers.inventory.stock import Cause, Change, move
from subscribers.order_search import OrderNumberSearch
from subscribers.read_only import FactAdmin

RECEIVE = "inventory.add_stockmovement"


class BackorderFilter(admin.SimpleListFilter):
    title = _("stock")
    parameter_name = "stock"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("back", _("back-ordered")), ("empty", _("none left")),
                ("there", _("on hand"))]  # fmt: skip

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[StockLevel]
    ) -> QuerySet[StockLevel]:
        wanted = {"back": {"on_hand__lt": 0}, "empty": {"on_hand": 0},
                  "there": {"on_hand__gt": 0}}  # fmt: skip
        return queryset.filter(**wanted.get(self.value() or "", {}))


@admin.register(StockLevel)
class StockLevelAdmin(FactAdmin):
    list_display = ["sku", "name", "on_hand", "owed", "updated_at"]
    list_filter = [BackorderFilter]
    search_fields = ["sku", "name"]
    fields = ["sku", "name", "on_hand", "backordered", "updated_at"]
    actions_list = ["receive"]
    actions_detail = ["receive_this"]

    @display(
        description=_("back-ordered"), ordering="-on_hand", label={"owed": "danger"}
    )
    def owed(self, level: StockLevel) -> tuple[str, int] | None:
        return ("owed", level.backordered) if level.backordered else None

    # A method, not a dotted name: a check would look that up in the database, which is
    # not there yet when a fresh one is migrated.
    def has_receive_permission(
        self, request: HttpRequest, object_id: str | None = None
    ) -> bool:
        return bool(request.user.has_perm(RECEIVE))

    @action(description=_("Receive stock"), url_path="receive", permissions=["receive"])
    def receive(self, request: HttpRequest) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:inventory_stockmovement_add"))

    @action(description=_("Receive stock"), url_path="receive", permissions=["receive"])
    def receive_this(self, request: HttpRequest, object_id: str) -> HttpResponse:
        level = StockLevel.objects.filter(pk=object_id).first()
        query = urlencode({"sku": level.sku, "name": level.name} if level else {})
        form = reverse("admin:inventory_stockmovement_add")
        return HttpResponseRedirect(f"{form}?{query}")


@admin.register(StockMovement)
class StockMovementAdmin(OrderNumberSearch, FactAdmin):
    list_display = ["sku", "signed", "reason", "order_number", "source", "moved_at"]
    list_filter = ["reason", "moved_at"]
    search_fields = ["sku__exact", "event_id__exact"]
    search_help_text = _("SKU, order number or event id, exactly")
    form = ReceiveStockForm

    @display(description=_("quantity"), ordering="quantity")
    def signed(self, movement: StockMovement) -> str:
        return f"{movement.quantity:+,d}"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(RECEIVE))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        if obj is None:
            return ["sku", "name", "quantity", "token"]
        return [
            "sku", "signed", "reason", "order_number", "source", "event_id", "moved_at",
        ]  # fmt: skip

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> list[str]:
        return self.get_fields(request, obj) if obj else []

    def save_model(
        self, request: HttpRequest, obj: StockMovement, form: Any, change: bool
    ) -> None:
        given = form.cleaned_data
        cause = Cause(
            reason=Reason.RECEIVED, source="/admin", event_id=str(given["token"])
        )
        received = Change(
            sku=given["sku"], name=given["name"], quantity=given["quantity"]
        )
        if not move([received], cause=cause):
            self.message_user(
                request, _("This delivery was booked in before; it counts once."),
                level="WARNING",
            )  # fmt: skip
        booked = StockMovement.objects.get(
            source=cause.source, event_id=cause.event_id, sku=obj.sku
        )
        obj.__dict__.update(booked.__dict__)
