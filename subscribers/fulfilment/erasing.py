"""How the addresses on a customer's parcels are erased."""

from __future__ import annotations

from router.public import ERASED, Customer, eraser
from subscribers.fulfilment.models import Shipment

KEPT = "country"


@eraser
def erase(customer: Customer, *, is_dry_run: bool) -> dict[str, int]:
    """Overwrite the addresses, but for the country; those of parcels that have not left
    are counted apart, since nobody can send these any more."""
    theirs = Shipment.objects.filter(customer_id__in=customer.ids)
    shipments = theirs.exclude(address__name=ERASED)
    counts = {
        "shipments": shipments.count(),
        "shipments not yet sent": shipments.open().count(),
    }
    if not is_dry_run:
        for shipment in shipments.only("pk", "address"):
            shipment.address = {
                name: value if name == KEPT or not value else ERASED
                for name, value in shipment.address.items()
            }
            shipment.save(update_fields=["address"])
    return counts
