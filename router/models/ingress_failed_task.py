from __future__ import annotations

from django.db import models
from django.utils.translation import gettext

from router.models.clock import Clock
from router.models.event import EventRecord


class IngressState(models.TextChoices):
    OPEN = "open"
    PUBLISHED = "published"
    DISCARDED = "discarded"


class IngressQuerySet(models.QuerySet["IngressFailedTask"]):
    def open(self) -> IngressQuerySet:
        return self.filter(state=IngressState.OPEN)


class IngressFailedTask(models.Model):
    """A message that a bridge took and that is no valid event, kept with its bytes
    until a person settles it."""

    bridge = models.CharField(max_length=63)
    #: Of the whole message: one that comes a second time is the same.
    digest = models.CharField(max_length=64, editable=False)
    message_id = models.CharField(max_length=255, blank=True)
    #: What the foreign router calls messages of its kind.
    name = models.CharField(max_length=255, blank=True)
    content_type = models.CharField(max_length=255, blank=True)
    #: Attributes of an event that stood beside the body.
    attributes = models.JSONField(default=dict, blank=True)
    body = models.BinaryField()
    problem = models.TextField()
    state = models.CharField(
        max_length=16, choices=IngressState, default=IngressState.OPEN
    )
    opened_at = models.DateTimeField(db_default=Clock(), editable=False)
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.CharField(max_length=200, blank=True)
    settled_note = models.TextField(blank=True)
    #: The event that it became.
    event = models.ForeignKey(
        EventRecord,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )

    objects = IngressQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bridge", "digest"], name="ingress_failed_task_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["id"],
                name="ingress_failed_task_open",
                condition=models.Q(state="open"),
            )
        ]

    def __str__(self) -> str:
        return gettext("ingress failed task %(number)s") % {"number": self.pk}
