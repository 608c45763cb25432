from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class CustomerProfile(models.Model):
    """Who buys, how often, and when last.

    An id is its publisher's own: the same id from another source is another customer.
    """

    source = models.CharField(
        _("event source"), max_length=255, db_default="", default=""
    )
    customer_id = models.CharField(_("customer id"), max_length=255)
    name = models.TextField(_("name"), blank=True)
    email = models.TextField(_("mail address"), blank=True)
    purchases_count = models.PositiveIntegerField(_("purchases"), default=0)
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"), db_index=True)

    class Meta:
        ordering = ["-last_seen_at"]
        verbose_name = _("customer profile")
        verbose_name_plural = _("customer profiles")
        constraints = [
            models.UniqueConstraint(
                fields=["customer_id", "source"], name="profile_once_per_customer"
            )
        ]

    def __str__(self) -> str:
        return self.name or self.customer_id


class ProfileTotal(models.Model):
    """What a customer has bought for, in one currency."""

    profile = models.ForeignKey(
        CustomerProfile, on_delete=models.CASCADE, related_name="totals"
    )
    currency = models.CharField(_("currency"), max_length=3)
    total_minor = models.BigIntegerField(_("total in minor units"), default=0)

    class Meta:
        ordering = ["currency"]
        verbose_name = _("total")
        verbose_name_plural = _("totals")
        constraints = [
            models.UniqueConstraint(
                fields=["profile", "currency"], name="total_once_per_currency"
            )
        ]

    def __str__(self) -> str:
        return f"{self.total_minor} {self.currency}"


class CountedPurchase(models.Model):
    """A purchase that is in the profiles: remembered, so that it counts once."""

    source = models.CharField(max_length=255)
    event_id = models.CharField(max_length=255)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "event_id"], name="purchase_counted_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.event_id}"
