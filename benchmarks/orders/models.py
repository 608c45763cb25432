from __future__ import annotations

from django.db import models


class Order(models.Model):
    """An order as a shop keeps it: small, with its lines."""

    number = models.BigIntegerField()
    customer = models.CharField(max_length=60)
    total_minor = models.IntegerField()
    placed_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"order {self.number}"


class Line(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE)
    sku = models.CharField(max_length=40)
    quantity = models.IntegerField()

    def __str__(self) -> str:
        return self.sku


class Effect(models.Model):
    """What a handler does that inserts a row."""

    number = models.BigIntegerField()
    subscriber = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.subscriber} of {self.number}"


class NaiveDelivery(models.Model):
    """The state that a naive project keeps of each task."""

    number = models.BigIntegerField()
    subscriber = models.IntegerField()
    at_ns = models.BigIntegerField()
    state = models.CharField(max_length=12, default="PENDING")
    done_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.subscriber} of {self.number}: {self.state}"
