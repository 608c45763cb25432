from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline

from shop.mail_addresses import normalised
from shop.models import Category, Order, OrderLine, Payment, Product
from shop.money import formatted
from shop.order_numbers import spellings


def _mailed_to(typed: str) -> Q:
    """Orders of a mail address as its owner writes it: `ada@bücher.example`."""
    try:
        return Q(email__iexact=normalised(typed))
    except ValidationError:
        return Q(pk__in=())


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
    fields = ("name", "slug", "blurb", "place")
    prepopulated_fields = {"slug": ("name",)}


@admin.register(Product)
class ProductAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ("name", "sku", "category", "price", "is_available")
    list_filter = ("is_available", "category")
    list_select_related = ("category",)
    search_fields = ("name", "sku", "keywords")
    fields = (
        "name", "slug", "sku", "category", "price_minor", "currency", "is_available",
        "summary", "description", "picture", "keywords",
    )  # fmt: skip
    prepopulated_fields = {"slug": ("name",)}


class LineInline(ReadOnly, TabularInline):  # type: ignore[misc]
    model = OrderLine
    fields = ("sku", "name", "quantity", "unit_price", "total")
    readonly_fields = ("unit_price", "total")
    hide_title = True
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[OrderLine]:
        return OrderLine.objects.select_related("order")

    @admin.display(description=_("unit price"))
    def unit_price(self, line: OrderLine) -> str:
        return formatted(line.unit_price_minor, line.order.currency)

    @admin.display(description=_("total"))
    def total(self, line: OrderLine) -> str:
        return formatted(line.total_minor, line.order.currency)


class PaymentInline(ReadOnly, TabularInline):  # type: ignore[misc]
    model = Payment
    fields = ("state", "reference", "amount", "card_last4")
    readonly_fields = ("amount",)
    hide_title = True
    extra = 0

    @admin.display(description=_("amount"))
    def amount(self, payment: Payment) -> str:
        return formatted(payment.amount_minor, payment.currency)


@admin.register(Order)
class OrderAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    list_display = ("number", "placed_at", "name", "total", "payment_state")
    list_select_related = ("payment",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("=public_id", "=email", "name")
    search_help_text = _("Order number, mail address, or a part of the name")
    fields = (
        "number", "public_id", "customer_id", "placed_at", "name", "email", "line1",
        "line2", "postal_code", "city", "country", "subtotal", "shipping", "total",
    )  # fmt: skip
    readonly_fields = ("subtotal", "shipping", "total")
    inlines = (LineInline, PaymentInline)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        orders, has_doubles = super().get_search_results(request, queryset, search_term)
        if not search_term.strip():
            return orders, has_doubles
        meant = Q(number__in=spellings(search_term)) | _mailed_to(search_term.strip())
        return orders | queryset.filter(meant), has_doubles

    @admin.display(description=_("items"))
    def subtotal(self, order: Order) -> str:
        return formatted(order.subtotal_minor, order.currency)

    @admin.display(description=_("shipping"))
    def shipping(self, order: Order) -> str:
        return formatted(order.shipping_minor, order.currency)

    @admin.display(description=_("payment"))
    def payment_state(self, order: Order) -> str:
        return order.payment.get_state_display()
