"""The pick list: a page to read in the stock room, and to print."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from subscribers.fulfilment.models import Shipment

MAX_SHIPMENTS = 100


def pick_lists(request: HttpRequest) -> HttpResponse:
    """One sheet for each shipment in `?ids=1,2,3`, oldest first."""
    if not request.user.has_perm("fulfilment.view_shipment"):
        raise PermissionDenied
    wanted = request.GET.get("ids", "").split(",")
    ids = [int(text) for text in wanted if text.isdecimal() and len(text) < 19]
    shipments = Shipment.objects.filter(pk__in=ids[:MAX_SHIPMENTS]).prefetch_related(
        "lines"
    )
    if not shipments:
        raise Http404(_("There is no such shipment."))
    return render(
        request, "fulfilment/pick_lists.html", {"shipments": shipments.order_by("pk")}
    )
