from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Value, When
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.models.delivery import Delivery
from router.models.event import EventRecord
from router.models.failed_task_group import FailedTaskGroup
from router.models.ramped_retry import RampedRetry
from router.models.subscriber import Subscriber


class FailedTaskState(models.TextChoices):
    OPEN = "open", _("Open")
    RETRIED = "retried", _("Retried")
    DISCARDED = "discarded", _("Discarded")
    #: Another subscriber gets the event instead.
    REDIRECTED = "redirected", _("Redirected")


#: The order of the list: what is open first. Two indexes have the same expression.
OPEN_FIRST = Case(
    When(state=FailedTaskState.OPEN.value, then=Value(0)), default=Value(1)
)


class Reason(models.TextChoices):
    EXHAUSTED = "EXHAUSTED", _("Exhausted")
    REJECTED = "REJECTED", _("Rejected")
    #: An operator gave the event up.
    SKIPPED = "SKIPPED", _("Skipped")


#: Kinds of evidence: a filter that raised, a version that the event can't be had in.
UNSENT = ("FilterFailed", "DowngradeFailed")


class FailedTaskQuerySet(models.QuerySet["FailedTask"]):
    def open(self) -> FailedTaskQuerySet:
        return self.filter(state=FailedTaskState.OPEN)

    def ungrouped(self) -> FailedTaskQuerySet:
        """Open ones that the dispatcher has not given their cause yet."""
        return self.open().filter(group__isnull=True)


class FailedTask(models.Model):
    """A delivery that the router gave up on, kept with its evidence until a person
    settles it. Written in the transaction of the death."""

    delivery = models.ForeignKey(
        Delivery, on_delete=models.DO_NOTHING, related_name="failed_tasks"
    )
    event = models.ForeignKey(
        EventRecord, on_delete=models.DO_NOTHING, related_name="failed_tasks"
    )
    subscriber = models.ForeignKey(
        Subscriber, on_delete=models.DO_NOTHING, related_name="failed_tasks"
    )
    reason = models.CharField(max_length=16, choices=Reason)
    error = models.TextField(blank=True)
    traceback = models.TextField(blank=True)
    attempts = models.PositiveIntegerField()
    state = models.CharField(
        max_length=16, choices=FailedTaskState, default=FailedTaskState.OPEN
    )
    opened_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    #: Who settled it, in words that outlive the account.
    settled_by_name = models.CharField(max_length=200, blank=True)
    settled_note = models.TextField(blank=True)
    #: Of operators, for each other.
    notes = models.TextField(blank=True, default="", db_default="")
    #: The name of the user who looks after it.
    assignee = models.CharField(max_length=150, blank=True, default="", db_default="")
    #: The earlier death of the same delivery, when a retry died again.
    previous = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.DO_NOTHING, related_name="later"
    )

    #: Its cause. The dispatcher finds it: until then, and where it was settled before,
    #: there is none.
    group = models.ForeignKey(
        FailedTaskGroup,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="failed_tasks",
    )
    #: What takes the place of its delivery: that of a corrected event, or to another
    #: subscriber.
    successor = models.ForeignKey(
        Delivery,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="predecessors",
    )
    #: The ramped retry that retried it last.
    ramped_retry = models.ForeignKey(
        RampedRetry,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="failed_tasks",
    )

    objects = FailedTaskQuerySet.as_manager()

    class Meta:
        permissions = [("remediate_failedtask", "Can retry and discard failed tasks")]
        constraints = [
            models.UniqueConstraint(
                fields=["delivery"],
                condition=models.Q(state="open"),
                name="failed_task_open_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["subscriber"],
                name="failed_task_open",
                condition=models.Q(state="open"),
            ),
            models.Index(OPEN_FIRST, F("id").desc(), name="failed_task_listed"),
            models.Index(
                F("subscriber"),
                OPEN_FIRST,
                F("id").desc(),
                name="failed_task_listed_of",
            ),
            models.Index(
                fields=["group", "state", "id"],
                name="failed_task_of_cause",
                condition=models.Q(group__isnull=False),
            ),
            models.Index(
                fields=["id"],
                name="failed_task_ungrouped",
                condition=models.Q(state="open", group__isnull=True),
            ),
            models.Index(
                fields=["successor"],
                name="failed_task_replaced",
                condition=models.Q(successor__isnull=False),
            ),
            models.Index(
                fields=["ramped_retry"],
                name="failed_task_ramped",
                condition=models.Q(ramped_retry__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return gettext("failed task %(number)s") % {"number": self.pk}

    @property
    def is_unsent(self) -> bool:
        """Whether the router itself could not prepare the event for the subscriber,
        which was never asked."""
        return self.error.partition(":")[0] in UNSENT
