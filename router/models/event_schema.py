from __future__ import annotations

from django.db import models

from router.models.clock import Clock


class EventSchema(models.Model):
    """A JSON Schema of an event type, registered while the router runs.

    `dataschema` is its `$id`; versions of one type live side by side and are never
    changed, since recorded events name them.
    """

    type = models.CharField(max_length=255, db_index=True)
    dataschema = models.CharField(max_length=500, unique=True)
    schema = models.JSONField()
    created_at = models.DateTimeField(db_default=Clock(), editable=False)
    #: From then on it refuses nothing; events that name it keep its name.
    retired_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["type", "pk"]

    def __str__(self) -> str:
        return self.dataschema
