from __future__ import annotations

from django.db import models

from router.models.clock import Clock


class AuditEntry(models.Model):
    """Who changed what through API, admin or command; append-only, without secrets."""

    at = models.DateTimeField(db_default=Clock(), editable=False)
    #: `key partner`, `user eve`, `command ada` (the account on the terminal) or
    #: `router`, for what it does by itself.
    actor = models.CharField(max_length=200)
    #: What was done, in words of the glossary: `subscriber.created`.
    action = models.CharField(max_length=100)
    #: What it was done to: `subscriber erp`.
    target = models.CharField(max_length=200)
    detail = models.CharField(max_length=500, blank=True)
    #: Why, in the words of the person or program that did it.
    reason = models.CharField(max_length=1000, blank=True, db_default="")

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} of {self.target} by {self.actor}"
