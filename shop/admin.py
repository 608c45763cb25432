from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from shop.models import Category, Order, OrderLine, Payment, Product


class ReadOnly:
    """What happened can be looked at, not rewritten."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


@admin.register(Category)
class CategoryAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("name", "slug", "place")
    prepopulated_fields = {"slug": ("name",)}


@admin.register(Product)
class ProductAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("name", "sku", "category", "price", "is_available")
    list_filter = ("is_available", "category")
    list_select_related = ("category",)
    search_fields = ("name", "sku", "keywords")
    prepopulated_fields = {"slug": ("name",)}


class LineInline(ReadOnly, TabularInline):  # type: ignore[misc]
    model = OrderLine
    fields = ("sku", "name", "quantity", "unit_price_minor", "total_minor")
    extra = 0


class PaymentInline(ReadOnly, TabularInline):  # type: ignore[misc]
    model = Payment
    fields = ("state", "reference", "amount_minor", "currency", "card_last4")
    extra = 0


@admin.register(Order)
class OrderAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ("number", "placed_at", "name", "total", "payment_state")
    list_select_related = ("payment",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=public_id", "=email")
    inlines = (LineInline, PaymentInline)

    @admin.display(description="payment")
    def payment_state(self, order: Order) -> str:
        return order.payment.get_state_display()
