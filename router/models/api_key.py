from __future__ import annotations

import hashlib
import secrets
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from router.contract.filters import EVERYTHING, are_covered, matches_any
from router.models.subscriber import Subscriber


class Scope(models.TextChoices):
    PUBLISH = "publish", _("Publish")
    CONSUME = "consume", _("Consume")
    MANAGE = "manage", _("Manage")
    SCHEMAS = "schemas", _("Schemas")
    #: Name where a foreign router takes events: the router sends there from its own
    #: network, perhaps with credentials of its environment.
    TARGETS = "targets", _("Targets")


class ApiKey(models.Model):
    """A key of an API client; only its digest is kept.

    The key has 256 random bits, so that one fast digest protects it: there is nothing
    to guess by dictionary.
    """

    name = models.CharField(max_length=100, unique=True)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    #: Patterns that it is bound to. With all three lists empty the key is unbound, and
    #: may do all that its scopes allow; else an empty list means none.
    sources = models.JSONField(default=list, blank=True)
    types = models.JSONField(default=list, blank=True)
    subscribers = models.JSONField(default=list, blank=True)
    #: None: the router's setting.
    calls_per_minute = models.PositiveIntegerField(null=True, blank=True)
    #: The minute that is counted, and the calls in it.
    minute = models.BigIntegerField(default=0, editable=False)
    calls_count = models.PositiveIntegerField(default=0, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
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

    @property
    def state(self) -> str:
        """`usable`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.is_expired else "usable"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @classmethod
    def make(
        cls, name: str, *, scopes: list[str], **options: Any
    ) -> tuple[ApiKey, str]:
        """The saved key and its text, which is shown once and kept nowhere."""
        text = f"fanfare_{secrets.token_urlsafe(32)}"
        key = cls(name=name, scopes=scopes, digest=digest(text), **options)
        key.save(force_insert=True)
        return key, text

    @property
    def is_bound(self) -> bool:
        return bool(self.sources or self.types or self.subscribers)

    def patterns(self, kind: str) -> list[str]:
        """What it may reach of `sources`, `types` or `subscribers`."""
        named: list[str] = getattr(self, kind)
        return named if self.is_bound else [EVERYTHING]

    def unbound(self, *, source: str, event_type: str) -> list[str]:
        """What of `source` and `type` its bindings do not let it publish."""
        given = (("source", "sources", source), ("type", "types", event_type))
        return [
            name
            for name, kind, value in given
            if not matches_any(self.patterns(kind), value)
        ]

    def may_describe(self, event_type: str) -> bool:
        """Whether its bindings let it register and retire schemas of this type."""
        return matches_any(self.patterns("types"), event_type)

    def may_touch(self, subscriber_name: str) -> bool:
        """Whether its bindings let it see this subscriber, pause and resume it."""
        return matches_any(self.patterns("subscribers"), subscriber_name)

    def may_receive(self, subscriber: Subscriber) -> bool:
        """Whether it may pull, settle and resend for this subscriber.

        A key that names types or sources too may, where the subscriber can receive
        nothing else.
        """
        return self.may_touch(subscriber.name) and all(
            are_covered(limit, named)
            for limit, named in (
                (subscriber.allowed_types, self.types),
                (subscriber.allowed_sources, self.sources),
            )
            if named
        )

    def may_change(self, subscriber: Subscriber) -> bool:
        """Whether it may change what this subscriber receives, and where that goes.

        Only where the subscriber can receive nothing beyond the key's types and
        sources: the key could otherwise send itself the rest.
        """
        return (
            self.may_touch(subscriber.name)
            and are_covered(subscriber.allowed_types, self.patterns("types"))
            and are_covered(subscriber.allowed_sources, self.patterns("sources"))
        )


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
