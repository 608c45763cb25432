from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from shop.basket import Basket
from shop.countries import country_name
from shop.models import Order, OrderLine, Product
from shop.views.visitor import known_owner


@never_cache
@require_safe
def order(request: HttpRequest, public_id: str) -> HttpResponse:
    """What was bought, and how far everything is, for everybody with the address.

    Events, and so other parties, contain the address. It shows the customer's name and
    street only in the browser that bought, and to staff.
    """
    orders = Order.objects.select_related("payment", "intent")
    order = get_object_or_404(orders.prefetch_related("lines"), public_id=public_id)
    Basket(request.session).empty_if(order.intent.basket_id)
    context = {
        "order": order,
        "lines": _with_products(order),
        "country": country_name(order.country),
        "is_customer_shown": _is_buyer(request, order) or _is_staff(request),
    }
    return render(request, "shop/order.html", context)


@never_cache
@require_safe
def progress(request: HttpRequest, public_id: str) -> HttpResponse:
    """The fragment that the order page asks for each second."""
    order = get_object_or_404(Order, public_id=public_id)
    return render(request, "shop/order_progress.html", {"order": order})


def _is_buyer(request: HttpRequest, order: Order) -> bool:
    return known_owner(request) == order.intent.owner


def _is_staff(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return bool(user and user.is_staff and user.has_perm("shop.view_order"))


def _with_products(order: Order) -> list[tuple[OrderLine, Product | None]]:
    lines = list(order.lines.all())
    products = Product.objects.filter(sku__in=[line.sku for line in lines])
    by_sku = {product.sku: product for product in products}
    return [(line, by_sku.get(line.sku)) for line in lines]
