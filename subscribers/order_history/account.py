"""The customer's pages: the purchases, and the link that opens them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from subscribers.order_history.conf import parcel_sources
from subscribers.order_history.links import (
    Customer,
    LinkExpired,
    LinkForged,
    customer_of,
)
from subscribers.order_history.models import DispatchRecord, PurchaseRecord

CUSTOMER = "order_history.customer"
PER_PAGE = 20


@require_safe
@never_cache
def purchases(request: HttpRequest) -> HttpResponse:
    """The purchases of the customer whose link was opened, or how to open one."""
    customer = _customer(request)
    if customer is None:
        return render(request, "order_history/no_link.html")
    records = PurchaseRecord.objects.filter(**customer._asdict())
    pages = Paginator(records.prefetch_related("lines"), PER_PAGE)
    page = pages.get_page(request.GET.get("page"))
    parcels = _parcels(page.object_list)
    shown = [(record, parcels[record.order_id]) for record in page.object_list]
    return render(
        request, "order_history/purchases.html", {"page": page, "shown": shown}
    )


@require_safe
@never_cache
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """Remember whose link it is, and leave the token out of every later address."""
    try:
        customer = customer_of(token)
    except LinkExpired:
        response = render(request, "order_history/link_expired.html", status=410)
    except LinkForged:
        response = render(request, "order_history/link_unknown.html", status=404)
    else:
        request.session.cycle_key()
        request.session[CUSTOMER] = list(customer)
        response = redirect("order_history:purchases")
    return response


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Forget whose purchases were shown in this browser."""
    request.session.pop(CUSTOMER, None)
    return redirect("order_history:purchases")


def _customer(request: HttpRequest) -> Customer | None:
    """Whose link was opened. Sessions of an older release kept an id without source."""
    kept = request.session.get(CUSTOMER)
    return Customer(*kept) if isinstance(kept, list) else None


def _parcels(records: Iterable[PurchaseRecord]) -> dict[str, list[DispatchRecord]]:
    parcels_of: dict[str, list[DispatchRecord]] = defaultdict(list)
    order_ids = [record.order_id for record in records]
    # Every receiver of an order's events knows its id, and could write news of it to
    # its customer.
    trusted = DispatchRecord.objects.filter(source__in=parcel_sources())
    for parcel in trusted.filter(order_id__in=order_ids):
        parcels_of[parcel.order_id].append(parcel)
    return parcels_of
