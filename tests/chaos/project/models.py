from __future__ import annotations

from django.db import models


class Order(models.Model):
    """Committed with its event: what is here was really bought."""

    id = models.UUIDField(primary_key=True)
    is_cursed = models.BooleanField()

    def __str__(self) -> str:
        return str(self.pk)


class Effect(models.Model):
    """What a transactional subscriber did; no constraint hides a second time."""

    order_id = models.UUIDField()
    subscriber = models.CharField(max_length=20)
    done_at = models.FloatField()

    def __str__(self) -> str:
        return f"{self.subscriber} of {self.order_id}"
