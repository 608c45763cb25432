from __future__ import annotations

import secrets

from django.db import models

from router.models.api_key import digest
from router.models.clock import Clock
from router.models.subscriber import Subscriber


class PortalLinkQuerySet(models.QuerySet["PortalLink"]):
    def live(self) -> PortalLinkQuerySet:
        """Those that are neither revoked nor expired."""
        return self.filter(revoked_at=None, expires_at__gt=Clock())


class PortalLink(models.Model):
    """What an endpoint's owner opens the portal with, without an account.

    The link's token has 256 random bits, and only its digest is kept. The first browser
    that opens the link gets a cookie for the token, which opens nothing more.
    """

    #: The owner, as staff call them; the audit has it.
    label = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    #: By their rows: one that gets a deleted subscriber's name is another's.
    subscribers = models.ManyToManyField(Subscriber, related_name="portal_links")
    created_at = models.DateTimeField(db_default=Clock(), editable=False)
    expires_at = models.DateTimeField()
    #: When a browser got its cookie.
    opened_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = PortalLinkQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"portal link {self.pk} of {self.label}"

    @staticmethod
    def new_token() -> tuple[str, str]:
        """A token, and the digest that is kept of it."""
        text = secrets.token_urlsafe(32)
        return text, digest(text)
