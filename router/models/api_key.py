from __future__ import annotations

import hashlib
import secrets

from django.db import models


class Scope(models.TextChoices):
    PUBLISH = "publish"
    CONSUME = "consume"
    MANAGE = "manage"


class ApiKey(models.Model):
    """A key of an API client; only its digest is kept.

    The key has 256 random bits, so that one fast digest protects it: there is nothing
    to guess by dictionary.
    """

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.name

    @property
    def is_authenticated(self) -> bool:
        return True

    @classmethod
    def make(cls, name: str, *, scopes: list[str]) -> tuple[ApiKey, str]:
        """The saved key and its text, which is shown once and kept nowhere."""
        text = f"fanfare_{secrets.token_urlsafe(32)}"
        return cls.objects.create(name=name, scopes=scopes, digest=digest(text)), text


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
