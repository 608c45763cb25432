from __future__ import annotations

from django.db import models
from django.db.models import Q

from router.models.clock import Clock
from router.models.encrypted import EncryptedTextField
from router.models.subscriber import Subscriber


class SigningSecretQuerySet(models.QuerySet["SigningSecret"]):
    def live(self) -> SigningSecretQuerySet:
        """Those that sign now, the newest first."""
        lasting = Q(expires_at__isnull=True) | Q(expires_at__gt=Clock())
        return self.filter(lasting).order_by("-pk")


class SigningSecret(models.Model):
    """A secret that a subscriber's webhooks are signed with.

    Several are live while a rotation overlaps; each of them signs.
    """

    subscriber = models.ForeignKey(
        Subscriber, on_delete=models.CASCADE, related_name="signing_secrets"
    )
    #: `whsec_…` (Standard Webhooks).
    secret = EncryptedTextField()
    created_at = models.DateTimeField(db_default=Clock(), editable=False)
    #: None: until it is rotated.
    expires_at = models.DateTimeField(null=True)

    objects = SigningSecretQuerySet.as_manager()

    def __str__(self) -> str:
        return f"signing secret {self.pk}"
