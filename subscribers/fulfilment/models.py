from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ShipmentState(models.TextChoices):
    PICKING = "picking", _("picking")
    PACKED = "packed", _("packed")
    SHIPPED = "shipped", _("shipped")


class ShipmentQuerySet(models.QuerySet["Shipment"]):
    def picking(self) -> ShipmentQuerySet:
        return self.filter(state=ShipmentState.PICKING)

    def packed(self) -> ShipmentQuerySet:
        return self.filter(state=ShipmentState.PACKED)

    def open(self) -> ShipmentQuerySet:
        return self.exclude(state=ShipmentState.SHIPPED)


class Shipment(models.Model):
    """One parcel for one purchase: picked, packed, shipped."""

    public_id = models.CharField(_("shipment"), max_length=40, unique=True)
    order_id = models.CharField(_("order id"), max_length=255, db_index=True)
    order_number = models.CharField(
        _("order"), max_length=32, blank=True, db_default="", default="", db_index=True
    )
    customer_id = models.CharField(_("customer id"), max_length=255)
    address = models.JSONField(_("address"))
    state = models.CharField(
        _("state"),
        max_length=16,
        choices=ShipmentState,
        default=ShipmentState.PICKING,
    )
    carrier = models.CharField(_("carrier"), max_length=100, blank=True)
    tracking_code = models.CharField(_("tracking code"), max_length=100, blank=True)
    source = models.CharField(_("event source"), max_length=255)
    event_id = models.CharField(_("event id"), max_length=255)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    packed_at = models.DateTimeField(_("packed"), null=True, blank=True)
    shipped_at = models.DateTimeField(_("shipped"), null=True, blank=True)

    objects = ShipmentQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = _("shipment")
        verbose_name_plural = _("shipments")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "event_id"], name="shipment_once_per_event"
            )
        ]
        indexes = [
            models.Index(
                fields=["id"],
                name="shipment_open",
                condition=models.Q(state__in=["picking", "packed"]),
            )
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def order(self) -> str:
        """What people call the order."""
        return self.order_number or self.order_id

    @property
    def address_lines(self) -> list[str]:
        """The address as it is written on a parcel."""
        city = f"{self.address.get('postal_code', '')} {self.address.get('city', '')}"
        lines = [
            self.address.get("name", ""),
            self.address.get("line1", ""),
            self.address.get("line2", ""),
            city.strip(),
            self.address.get("country", ""),
        ]
        return [line for line in lines if line]


class ShipmentLine(models.Model):
    """One line of the pick list."""

    shipment = models.ForeignKey(
        Shipment, on_delete=models.CASCADE, related_name="lines"
    )
    sku = models.CharField(_("SKU"), max_length=100)
    name = models.TextField(_("name"))
    quantity = models.PositiveIntegerField(_("quantity"))

    class Meta:
        ordering = ["id"]
        verbose_name = _("line of the pick list")
        verbose_name_plural = _("pick list")

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"
