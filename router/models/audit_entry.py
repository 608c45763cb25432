from __future__ import annotations

from django.db import models
from django.utils.translation import gettext

from router.models.clock import Clock
from router.models.subscriber import Subscriber


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
    #: Whom it concerns. Without a constraint: its lock could wait for a worker that
    #: waits for the act.
    subscriber = models.ForeignKey(
        Subscriber,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    detail = models.CharField(max_length=500, blank=True)
    #: Field → its value before and after, without secrets.
    changes = models.JSONField(null=True)
    #: Why, in the words of the person or program that did it.
    reason = models.CharField(max_length=1000, blank=True, db_default="")

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["at"], name="audit_by_time"),
            models.Index(fields=["actor", "id"], name="audit_by_actor"),
            models.Index(fields=["action", "id"], name="audit_by_action"),
            models.Index(fields=["target", "id"], name="audit_by_target"),
            models.Index(
                fields=["subscriber", "id"],
                name="audit_of_subscriber",
                condition=models.Q(subscriber__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        text = gettext("%(action)s of %(target)s by %(actor)s")
        values = {"action": self.action, "target": self.target, "actor": self.actor}
        return text % values
