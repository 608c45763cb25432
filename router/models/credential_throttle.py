from __future__ import annotations

from django.db import models


class CredentialThrottle(models.Model):
    """How often a credential was wrong, for one address, account or known device."""

    #: A keyed digest: the table names neither addresses nor accounts.
    key = models.CharField(max_length=64, primary_key=True)
    failures = models.PositiveIntegerField(default=0)
    blocked_until = models.DateTimeField(null=True)
    #: From then on the failures count as none.
    forget_at = models.DateTimeField(db_index=True)
    #: Until then the account has signed in from this address.
    known_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.failures} wrong credentials of {self.key[:8]}"
