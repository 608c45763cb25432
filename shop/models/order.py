from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.db.models.functions import Concat, Substr, Upper
from django.urls import reverse
from django.utils.crypto import get_random_string
from django.utils.translation import gettext_lazy as _

from shop.mail_addresses import readable
from shop.money import formatted
from shop.validation import (
    CITY_LENGTH,
    EMAIL_LENGTH,
    LINE_LENGTH,
    NAME_LENGTH,
    POSTAL_CODE_LENGTH,
    PRODUCT_NAME_LENGTH,
    SKU_LENGTH,
)

# No vowels, so no words; nothing that looks like another.
ALPHABET = "bcdfghjkmnpqrstvwxz23456789"


def new_public_id() -> str:
    """95 bits: the address of an order is its secret."""
    return get_random_string(20, ALPHABET)


def new_customer_id() -> str:
    return f"cus_{get_random_string(20, ALPHABET)}"


class Customer(models.Model):
    """Gives each mail address one opaque, stable id."""

    customer_id = models.CharField(max_length=40, unique=True, default=new_customer_id)
    email = models.EmailField(max_length=EMAIL_LENGTH, unique=True)

    def __str__(self) -> str:
        return self.customer_id


class Order(models.Model):
    """One purchase. Amounts are in minor units of `currency`."""

    public_id = models.CharField(max_length=20, unique=True, default=new_public_id)
    #: What a customer reads out on the telephone: `RS3X-M2QZ`. It opens no page.
    number = models.GeneratedField(
        expression=Upper(
            Concat(
                Substr("public_id", 1, 4),
                models.Value("-"),
                Substr("public_id", 5, 4),
            )
        ),
        output_field=models.CharField(max_length=9),
        db_persist=True,
        db_index=True,
    )
    customer_id = models.CharField(max_length=40, db_index=True)
    placed_at = models.DateTimeField()

    name = models.CharField(max_length=NAME_LENGTH)
    email = models.EmailField(max_length=EMAIL_LENGTH)
    line1 = models.CharField("address", max_length=LINE_LENGTH)
    line2 = models.CharField("address, second line", max_length=LINE_LENGTH, blank=True)
    postal_code = models.CharField(max_length=POSTAL_CODE_LENGTH, blank=True)
    city = models.CharField(max_length=CITY_LENGTH)
    country = models.CharField(max_length=2)
    #: In which the customer read the store; empty for an order of an older release.
    language = models.CharField(max_length=16, blank=True, db_default="", default="")

    subtotal_minor = models.PositiveBigIntegerField()
    shipping_minor = models.PositiveBigIntegerField()
    total_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)

    class Meta:
        ordering = ("-id",)
        indexes = [models.Index(fields=["placed_at", "id"], name="order_by_time")]

    def __str__(self) -> str:
        return str(self.number)

    def get_absolute_url(self) -> str:
        return reverse("shop:order", args=[self.public_id])

    @property
    def readable_email(self) -> str:
        return readable(self.email)

    @property
    @admin.display(description=_("total"))
    def total(self) -> str:
        return formatted(self.total_minor, self.currency)


class OrderLine(models.Model):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    sku = models.CharField("SKU", max_length=SKU_LENGTH)
    name = models.CharField(max_length=PRODUCT_NAME_LENGTH)
    quantity = models.PositiveIntegerField()
    unit_price_minor = models.PositiveBigIntegerField()
    total_minor = models.PositiveBigIntegerField()

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.quantity} × {self.sku}"
