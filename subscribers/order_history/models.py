from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PurchaseRecord(models.Model):
    """A purchase as the event has it; amounts in minor units of `currency`."""

    order_id = models.CharField(_("order id"), max_length=255, db_index=True)
    order_number = models.CharField(
        _("order"), max_length=32, blank=True, db_default="", default="", db_index=True
    )
    customer_id = models.CharField(_("customer id"), max_length=255)
    placed_at = models.DateTimeField(_("placed"), db_index=True)
    currency = models.CharField(_("currency"), max_length=3)
    subtotal_minor = models.BigIntegerField(_("subtotal in minor units"))
    shipping_minor = models.BigIntegerField(_("shipping in minor units"))
    total_minor = models.BigIntegerField(_("total in minor units"))
    source = models.CharField(_("event source"), max_length=255)
    event_id = models.CharField(_("event id"), max_length=255)

    class Meta:
        ordering = ["-placed_at", "-id"]
        verbose_name = _("purchase")
        verbose_name_plural = _("purchases")
        permissions = [("view_sales", _("Can view sales"))]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "event_id"], name="purchase_once_per_event"
            )
        ]
        indexes = [
            models.Index(
                fields=["customer_id", "-placed_at"], name="purchase_of_customer"
            )
        ]

    def __str__(self) -> str:
        return self.order

    @property
    def order(self) -> str:
        """What people call the order."""
        return self.order_number or self.order_id


class PurchaseLine(models.Model):
    """One product of a purchase."""

    purchase = models.ForeignKey(
        PurchaseRecord, on_delete=models.CASCADE, related_name="lines"
    )
    sku = models.CharField(_("SKU"), max_length=100)
    name = models.TextField(_("name"))
    quantity = models.PositiveIntegerField(_("quantity"))
    total_minor = models.BigIntegerField(_("total in minor units"))

    class Meta:
        ordering = ["id"]
        verbose_name = _("line")
        verbose_name_plural = _("lines")

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"


class DispatchRecord(models.Model):
    """A parcel that left. Tied to its purchase by the order's name alone: the news of
    a parcel may arrive before the news of the purchase."""

    order_id = models.CharField(_("order id"), max_length=255, db_index=True)
    order_number = models.CharField(
        _("order"), max_length=32, blank=True, db_default="", default="", db_index=True
    )
    dispatched_at = models.DateTimeField(_("shipped"))
    carrier = models.CharField(_("carrier"), max_length=100, blank=True)
    tracking_code = models.CharField(_("tracking code"), max_length=100, blank=True)
    source = models.CharField(_("event source"), max_length=255)
    event_id = models.CharField(_("event id"), max_length=255)

    class Meta:
        ordering = ["dispatched_at", "id"]
        verbose_name = _("dispatch")
        verbose_name_plural = _("dispatches")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "event_id"], name="dispatch_once_per_event"
            )
        ]

    def __str__(self) -> str:
        return self.order

    @property
    def order(self) -> str:
        """What people call the order."""
        return self.order_number or self.order_id
