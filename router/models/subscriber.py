from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from router import registry
from router.contract.breaker import BreakerState
from router.contract.filters import EVERYTHING, matches_any
from router.contract.masking import masked, masked_target
from router.contract.retry import RetrySchedule
from router.models.encrypted import EncryptedJSONField, SealedText, SealedTextField
from router.models.event import OWN_TYPES, EventRecord


class SubscriberState(models.TextChoices):
    ACTIVE = "active", _("Active")
    PAUSED = "paused", _("Paused")
    DISABLED = "disabled", _("Disabled")


#: State → what staff read.
BREAKER_LABELS = {
    BreakerState.CLOSED: "Well",
    BreakerState.OPEN: "Unreachable",
    BreakerState.DRAINING: "Catching up",
}


class Transport(models.TextChoices):
    HANDLER = "handler", _("In-process handler")
    WEBHOOK = "webhook", _("Webhook")
    PULL = "pull", _("Pull")
    KAFKA = "kafka", "Kafka"
    SQS = "sqs", "Amazon SQS"
    SNS = "sns", "Amazon SNS"
    PUBSUB = "pubsub", "Google Pub/Sub"
    AMQP = "amqp", "RabbitMQ"


class Ordering(models.TextChoices):
    """Whether events with the same `partitionkey` reach the subscriber in order."""

    NONE = "none", _("In any order")
    KEY = "key", _("In the order of their key")


class OnDead(models.TextChoices):
    """What an event that was given up means for the later ones of its key."""

    HOLD = "hold", _("Hold the later events of its key")
    SKIP = "skip", _("Go on with the next event of its key")


#: Routers that people already run, to which the router publishes.
FOREIGN = (
    Transport.KAFKA,
    Transport.SQS,
    Transport.SNS,
    Transport.PUBSUB,
    Transport.AMQP,
)
#: What the router sends to over the network.
REMOTE = (Transport.WEBHOOK, *FOREIGN)


def everything() -> list[str]:
    """No limit, as patterns."""
    return [EVERYTHING]


class SubscriberQuerySet(models.QuerySet["Subscriber"]):
    def known(self) -> SubscriberQuerySet:
        """Those that are not deleted: every one of them is routed to.

        Their headers stay encrypted until somebody asks for them: a lost key must stop
        the webhooks that need it, and nobody else.
        """
        return self.filter(deleted_at__isnull=True).defer("custom_headers")


class Subscriber(models.Model):
    """A registered receiver: which events, how, how patiently."""

    name = models.SlugField(max_length=63)
    title = models.CharField(max_length=120)
    transport = models.CharField(
        max_length=16, choices=Transport, default=Transport.HANDLER
    )
    events = models.JSONField(default=list)
    #: A filter of the CloudEvents Subscriptions API; None means all of `events`.
    filter = models.JSONField(null=True, blank=True)
    #: Event type → the `dataschema` that it gets events of this type in, whatever newer
    #: one they were published with.
    dataschemas = models.JSONField(
        default=dict, blank=True, db_default=models.Value({}, models.JSONField())
    )
    #: Patterns of what it may receive at most, whatever `events` and `filter` say: the
    #: bindings of the API key that created it. An empty list: nothing.
    allowed_types = models.JSONField(
        default=everything, db_default=models.Value([EVERYTHING], models.JSONField())
    )
    allowed_sources = models.JSONField(
        default=everything, db_default=models.Value([EVERYTHING], models.JSONField())
    )
    #: Where webhooks are posted to, as it may be shown: see `address`.
    url = models.CharField(max_length=2000, blank=True, db_default="")
    #: The whole URL, where `url` hides a part of it.
    secret_url = SealedTextField(default=None, blank=True, db_default="")
    #: Where a foreign router takes events, as it may be shown: see `whole_target`.
    target = models.JSONField(
        default=dict, blank=True, db_default=models.Value({}, models.JSONField())
    )
    #: The whole target as JSON, where `target` hides a part of it.
    secret_target = SealedTextField(default=None, blank=True, db_default="")
    #: Headers that every webhook carries beside the router's own: often a password.
    custom_headers = EncryptedJSONField(default=dict, blank=True, db_default="")
    #: Deliveries that may start each second; None: as many as it takes.
    rate_per_second = models.FloatField(null=True, blank=True)
    #: When the next may start, while `rate_per_second` is kept.
    paced_until = models.DateTimeField(null=True, editable=False)
    #: Deliveries that may be under way at once; None: the router's setting.
    in_flight_limit = models.PositiveIntegerField(null=True, blank=True)
    ordering = models.CharField(
        max_length=4,
        choices=Ordering,
        default=Ordering.NONE,
        db_default=Ordering.NONE.value,
    )
    #: Of an ordered subscriber.
    on_dead = models.CharField(
        max_length=4, choices=OnDead, default=OnDead.HOLD, db_default=OnDead.HOLD.value
    )
    state = models.CharField(
        max_length=16, choices=SubscriberState, default=SubscriberState.ACTIVE
    )
    state_reason = models.CharField(max_length=500, blank=True)
    state_changed_at = models.DateTimeField(null=True, blank=True)
    #: Held by the router for want of a setting; it resumes when the setting is there.
    is_held_for_setup = models.BooleanField(default=False)
    queue = models.CharField(max_length=16, default="default")
    #: The queue that a person chose; empty: as declared, or slow as measured.
    fixed_queue = models.CharField(max_length=16, blank=True, db_default="")
    is_transactional = models.BooleanField(default=True)
    is_safe_concurrently = models.BooleanField(default=False)
    #: It reads the log by its cursor, and has a delivery only of what was set aside.
    is_streamed = models.BooleanField(default=False, db_default=False, editable=False)
    retry_first_seconds = models.PositiveIntegerField(null=True, blank=True)
    retry_maximum_seconds = models.PositiveIntegerField(null=True, blank=True)
    max_failures = models.PositiveSmallIntegerField(null=True, blank=True)
    #: Of a webhook: the waits between its attempts; None: the router's setting.
    waits_seconds = models.JSONField(null=True, blank=True)
    #: The declaration's schedule, used where no person has chosen another.
    declared_schedule = models.JSONField(default=dict, blank=True)
    #: Name of a rule for alerts → its limit, where it is not that of the settings.
    alert_rules = models.JSONField(
        default=dict, blank=True, db_default=models.Value({}, models.JSONField())
    )
    #: At or below this position is history to the subscriber, above it is live.
    live_from = models.BigIntegerField(default=0)
    breaker = models.CharField(
        max_length=8,
        choices=[(state.value, label) for state, label in BREAKER_LABELS.items()],
        default=BreakerState.CLOSED.value,
        editable=False,
    )
    #: Goes up whenever the breaker opens or closes: an attempt of an older epoch
    #: shows nothing of the receiver as it is now.
    breaker_epoch = models.PositiveIntegerField(default=0, editable=False)
    #: When the present incident began; None when there is none.
    incident_since = models.DateTimeField(null=True, editable=False)
    #: See `router.contract.breaker.Breaker`.
    failed_in_a_row = models.JSONField(default=list, editable=False)
    #: The receiver asked for nothing before this time.
    not_before = models.DateTimeField(null=True, editable=False)
    #: The delivery that may be tried while the breaker is open.
    probe_id = models.BigIntegerField(null=True, editable=False)
    probe_at = models.DateTimeField(null=True, editable=False)
    probe_count = models.PositiveIntegerField(default=0, editable=False)
    #: The largest chunk while it drains after an incident; None: no limit.
    ramp = models.PositiveIntegerField(null=True, editable=False)
    #: Run time of one delivery, a moving mean: sizes the next chunk.
    mean_run_ms = models.FloatField(null=True, blank=True, editable=False)
    last_acknowledged_at = models.DateTimeField(null=True, editable=False)
    #: When the attempt began that ended then.
    last_success_began_at = models.DateTimeField(null=True, editable=False)
    last_failed_at = models.DateTimeField(null=True, editable=False)
    #: The highest number of its runs and resent events.
    last_run = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True)
    #: When everything that the deleted subscriber was owed had been cancelled.
    cancelled_at = models.DateTimeField(null=True, editable=False)

    objects = SubscriberQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(deleted_at__isnull=True),
                name="subscriber_name_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["id"],
                name="subscriber_cancelling",
                condition=models.Q(deleted_at__isnull=False, cancelled_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return self.title or self.name

    @property
    def is_ordered(self) -> bool:
        return self.ordering == Ordering.KEY

    def asks_for(self, event_type: str) -> bool:
        """Whether its patterns match; the router's own events leave for a foreign
        router only where a pattern names them."""
        patterns = self.events
        if self.transport in FOREIGN and event_type.startswith(OWN_TYPES):
            patterns = [each for each in patterns if each.startswith(OWN_TYPES)]
        return matches_any(patterns, event_type)

    def may_receive(self, event: EventRecord) -> bool:
        """Whether the event lies within its limits; its own test events always do."""
        is_own = event.only_for_id == self.pk and event.type.startswith(OWN_TYPES)
        return is_own or (
            matches_any(self.allowed_types, event.type)
            and matches_any(self.allowed_sources, event.source)
        )

    @property
    def address(self) -> str:
        """The whole URL that webhooks are posted to.

        Raises `ImproperlyConfigured` when its key is missing.
        """
        whole: str = self.secret_url.open() if self.secret_url else self.url
        return whole

    @address.setter
    def address(self, url: str) -> None:
        self.url = masked(url)
        self.secret_url = SealedText.of(url) if self.url != url else None

    @property
    def whole_target(self) -> dict[str, Any]:
        """The target with its secrets.

        Raises `ImproperlyConfigured` when its key is missing.
        """
        sealed = self.secret_target
        whole: dict[str, Any] = json.loads(sealed.open()) if sealed else self.target
        return whole

    @whole_target.setter
    def whole_target(self, target: Mapping[str, Any]) -> None:
        self.target = masked_target(target)
        is_hidden = self.target != target
        self.secret_target = SealedText.of(json.dumps(target)) if is_hidden else None

    def schedule(self, *, default: RetrySchedule) -> RetrySchedule:
        """The schedule in force: a person's, else the declaration's, else `default`."""
        chosen_here = {
            "first_seconds": self.retry_first_seconds,
            "maximum_seconds": self.retry_maximum_seconds,
            "max_failures": self.max_failures,
        }
        chosen = {
            **default.__dict__,
            **self.declared_schedule,
            **{name: value for name, value in chosen_here.items() if value is not None},
        }
        if self.waits_seconds is not None:
            chosen["waits_seconds"] = tuple(self.waits_seconds)
            if self.max_failures is None:
                chosen["max_failures"] = len(self.waits_seconds) + 1
        return RetrySchedule(**chosen)


def fails_by_type(subscriber: Subscriber) -> bool:
    """Whether its handler declares that its types fail apart from each other."""
    is_handler = subscriber.transport == Transport.HANDLER
    declaration = registry.find(subscriber.name) if is_handler else None
    return declaration is not None and declaration.fails_by_type


def is_handler_missing(subscriber: Subscriber) -> bool:
    """Whether the code that this subscriber names is not installed here."""
    is_handler = subscriber.transport == Transport.HANDLER
    return is_handler and registry.find(subscriber.name) is None
