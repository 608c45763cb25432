from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from shop.basket import Basket
from shop.forms import QuantityForm
from shop.pricing import Priced, priced


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def basket(request: HttpRequest) -> HttpResponse:
    """What will be bought; POST changes quantities or takes one line out."""
    kept = Basket(request.session)
    errors = _change(kept, request.POST) if request.method == "POST" else {}
    if request.method == "POST" and not errors:
        return redirect("shop:basket")
    current = without_withdrawn(request, kept)
    context = {
        "priced": current,
        "rows": [(line, errors.get(line.product.sku, "")) for line in current.lines],
    }
    return render(request, "shop/basket.html", context, status=422 if errors else 200)


def without_withdrawn(request: HttpRequest, kept: Basket) -> Priced:
    """The priced basket, without withdrawn products, which a message names."""
    current = priced(kept.lines)
    if current.withdrawn:
        kept.remove(*current.withdrawn)
        message = _("No longer sold, so we took it out of your basket: %(skus)s.")
        messages.warning(request, message % {"skus": ", ".join(current.withdrawn)})
    return current


def _change(kept: Basket, given: QueryDict) -> dict[str, str]:
    """What is wrong with the quantities given, by SKU; the right ones are kept."""
    removed = given.get("remove")
    if removed:
        kept.remove(str(removed))
        return {}
    errors: dict[str, str] = {}
    for sku in tuple(kept.lines):
        if f"quantity-{sku}" in given:
            form = QuantityForm({"quantity": given[f"quantity-{sku}"]})
            if form.is_valid():
                kept.put(sku, form.cleaned_data["quantity"])
            else:
                errors[sku] = str(form.errors["quantity"][0])
    return errors
