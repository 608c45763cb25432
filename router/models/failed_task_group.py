from __future__ import annotations

from django.db import models
from django.utils.translation import gettext

from router.models.subscriber import Subscriber


class FailedTaskGroup(models.Model):
    """The failed tasks of one subscriber that have one cause.

    The cause is kept as a digest alone: its text may quote a customer. People read it
    in the newest of its failed tasks.
    """

    id = models.BigAutoField(primary_key=True)
    subscriber = models.ForeignKey(
        Subscriber,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    #: Keyed digest of `router.contract.cause.cause_text`.
    cause = models.CharField(max_length=64, editable=False)

    #: Of operators, for each other.
    notes = models.TextField(blank=True, default="", db_default="")
    #: The name of the user who looks after it.
    assignee = models.CharField(max_length=150, blank=True, default="", db_default="")

    class Meta:
        verbose_name = "cause"
        constraints = [
            models.UniqueConstraint(
                fields=["subscriber", "cause"], name="failed_task_group_once"
            )
        ]

    def __str__(self) -> str:
        return gettext("cause %(number)s") % {"number": self.pk}
