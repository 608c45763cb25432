from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """The last sign of life of one dispatcher, worker or bridge.

    The web process never talks to the broker: `/readyz` reads here what the dispatcher
    saw of it.
    """

    class Kind(models.TextChoices):
        DISPATCHER = "dispatcher"
        WORKER = "worker"
        BRIDGE = "bridge"

    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=16, choices=Kind)
    beat_at = models.DateTimeField()
    is_broker_reachable = models.BooleanField(null=True)
    #: The broker's queues that a worker takes messages from.
    queues = models.JSONField(
        default=list, db_default=models.Value([], models.JSONField())
    )
    #: Whether it keeps to the lease of streamed subscribers. A release without cursors
    #: knows none.
    knows_turns = models.BooleanField(default=True, db_default=False)
    #: What staff see of a bridge.
    details = models.JSONField(
        default=dict, db_default=models.Value({}, models.JSONField())
    )

    def __str__(self) -> str:
        return self.name
