from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from shop.availability import levels, stock_of
from shop.basket import Basket, TooMuch
from shop.forms import QuantityForm
from shop.models import Category, Product
from shop.validation import MAX_QUANTITY

PER_PAGE = 48
MAX_SEARCH_LENGTH = 100


@require_safe
def catalogue(request: HttpRequest) -> HttpResponse:
    """Everything for sale, narrowed by `q` and `category`."""
    search = request.GET.get("q", "").strip()[:MAX_SEARCH_LENGTH]
    slug = request.GET.get("category", "")
    chosen = Category.objects.filter(slug=slug[:50].replace("\x00", "")).first()
    products = (
        Product.objects.for_sale()
        .matching(search)
        .in_category(chosen.slug if chosen else "")
        .select_related("category")
    )
    page = Paginator(products, PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "shelf": _with_stock(page),
        "search": search,
        "chosen": chosen,
        "categories": Category.objects.all(),
    }
    return render(request, "shop/catalogue.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def product(request: HttpRequest, slug: str) -> HttpResponse:
    """One product; POST puts it in the basket."""
    wanted = get_object_or_404(Product.objects.select_related("category"), slug=slug)
    form = QuantityForm(request.POST if request.method == "POST" else None)
    is_asked = request.method == "POST" and wanted.is_available
    if is_asked and form.is_valid() and _add(request, wanted, form):
        return redirect("shop:basket")
    level = levels([wanted.sku]).get(wanted.sku)
    context = {
        "product": wanted,
        "form": form,
        "stock": stock_of(level).value,
        "level": level,
        "others": _others(wanted),
    }
    status = 200 if request.method != "POST" else 422 if wanted.is_available else 410
    return render(request, "shop/product.html", context, status=status)


def _add(request: HttpRequest, wanted: Product, form: QuantityForm) -> bool:
    try:
        Basket(request.session).add(wanted.sku, form.cleaned_data["quantity"])
    except TooMuch:
        message = _(
            "We send at most %(most)s of one item. Your basket has some already."
        )
        form.add_error("quantity", message % {"most": MAX_QUANTITY})
        return False
    messages.success(request, _("%(name)s is in your basket.") % {"name": wanted.name})
    return True


def _with_stock(page: Page[Product]) -> list[tuple[Product, str, int | None]]:
    known = levels([product.sku for product in page])
    return [
        (product, stock_of(known.get(product.sku)).value, known.get(product.sku))
        for product in page
    ]


def _others(wanted: Product) -> list[Product]:
    same = Product.objects.for_sale().in_category(wanted.category.slug)
    return list(same.exclude(pk=wanted.pk)[:4])
