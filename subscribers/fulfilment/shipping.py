"""The way of a shipment: picking → packed → shipped. Each step happens once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from router.public import publish
from subscribers.fulfilment.models import Shipment, ShipmentState

SOURCE = "/fulfilment"
DISPATCHED = "shipment.dispatched"
SCHEMA = "urn:fanfare:shipment.dispatched:1"


def pack(shipment_ids: Sequence[int]) -> int:
    """Mark what is being picked as packed; how many were."""
    return (
        Shipment.objects.picking()
        .filter(pk__in=shipment_ids)
        .update(state=ShipmentState.PACKED, packed_at=timezone.now())
    )


def label(shipment_id: int, *, carrier: str, tracking_code: str) -> bool:
    """Write the carrier on a parcel that has not left; whether it was still here."""
    parcel = Shipment.objects.open().filter(pk=shipment_id)
    return bool(parcel.update(carrier=carrier, tracking_code=tracking_code))


@transaction.atomic
def ship(shipment_id: int) -> bool:
    """Mark a packed shipment as shipped and publish it; whether it was packed."""
    shipped = (
        Shipment.objects.packed()
        .filter(pk=shipment_id)
        .update(state=ShipmentState.SHIPPED, shipped_at=timezone.now())
    )
    if not shipped:
        return False
    shipment = Shipment.objects.prefetch_related("lines").get(pk=shipment_id)
    publish(
        DISPATCHED,
        _payload(shipment),
        source=SOURCE,
        id=f"{shipment.public_id}.dispatched",
        subject=shipment.order_id,
        time=shipment.shipped_at,
        partitionkey=shipment.customer_id,
        dataschema=SCHEMA,
    )
    return True


def _order(shipment: Shipment) -> dict[str, str]:
    number = {"number": shipment.order_number} if shipment.order_number else {}
    return {"id": shipment.order_id, **number}


def _payload(shipment: Shipment) -> dict[str, Any]:
    dispatched_at = shipment.shipped_at.isoformat() if shipment.shipped_at else ""
    return {
        "shipment": {
            "id": shipment.public_id,
            "dispatched_at": dispatched_at.replace("+00:00", "Z"),
            "carrier": shipment.carrier,
            "tracking_code": shipment.tracking_code,
        },
        "order": _order(shipment),
        "customer": {"id": shipment.customer_id},
        "lines": [
            {"sku": line.sku, "name": line.name, "quantity": line.quantity}
            for line in shipment.lines.all()
        ],
    }
