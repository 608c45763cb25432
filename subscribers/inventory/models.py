from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class StockLevel(models.Model):
    """What lies in the stock room of one product; below zero, what is still to come."""

    sku = models.CharField(_("SKU"), max_length=100, unique=True)
    name = models.TextField(_("name"), blank=True)
    on_hand = models.BigIntegerField(_("on hand"), default=0)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    class Meta:
        ordering = ["sku"]
        verbose_name = _("stock level")
        verbose_name_plural = _("stock levels")

    def __str__(self) -> str:
        return self.sku

    @property
    def backordered(self) -> int:
        """How many were sold that are not there yet."""
        return max(-self.on_hand, 0)


class Reason(models.TextChoices):
    SOLD = "sold", _("sold")
    RECEIVED = "received", _("received")


class StockMovement(models.Model):
    """One change of one level, and the event that caused it: never counted twice."""

    sku = models.CharField(_("SKU"), max_length=100, db_index=True)
    quantity = models.IntegerField(_("quantity"))
    reason = models.CharField(_("reason"), max_length=16, choices=Reason)
    source = models.CharField(_("event source"), max_length=255)
    event_id = models.CharField(_("event id"), max_length=255)
    order_number = models.CharField(
        _("order"), max_length=32, blank=True, db_default="", default="", db_index=True
    )
    moved_at = models.DateTimeField(_("moved"), auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("stock movement")
        verbose_name_plural = _("stock movements")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "event_id", "sku"], name="movement_once_per_event"
            )
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.quantity:+d}"
