"""Signing secrets: made here, shown once, rotated with an overlap."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from router.conf import conf
from router.contract.errors import InvalidSubscriber
from router.contract.signing import make_secret
from router.flow import auditing
from router.models import Clock, SigningSecret, Subscriber, Transport

LONGEST_OVERLAP_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """The new secret, and when those before it stop to sign."""

    secret: str
    old_expire_at: datetime | None


def new_secret(subscriber: Subscriber) -> str:
    """Make a secret that signs from now on; its text is shown once."""
    text = make_secret()
    SigningSecret.objects.create(subscriber=subscriber, secret=text)
    return text


@transaction.atomic
def rotate_secret(
    subscriber: Subscriber, *, by: str, overlap_seconds: int | None = None
) -> Rotated:
    """Make a new secret; those before it go on signing for the overlap.

    Raises `InvalidSubscriber` for one that is not reached by webhook, or an overlap
    that is negative or longer than 30 days.
    """
    overlap = _checked_overlap(overlap_seconds)
    if subscriber.transport != Transport.WEBHOOK:
        raise InvalidSubscriber("Only webhooks are signed; this subscriber has none.")
    Subscriber.objects.select_for_update().get(pk=subscriber.pk)
    ends = Clock() + timedelta(seconds=overlap)
    before = SigningSecret.objects.filter(subscriber=subscriber)
    # A rotation never makes an older secret live longer.
    before.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=ends)).update(
        expires_at=ends
    )
    last = before.live().exclude(expires_at=None).first()
    secret = new_secret(subscriber)
    auditing.note(
        "subscriber.secret_rotated",
        f"subscriber {subscriber.name}",
        by=by,
        detail=f"overlap {overlap} s",
    )
    return Rotated(secret=secret, old_expire_at=last.expires_at if last else None)


def _checked_overlap(seconds: int | None) -> int:
    overlap = conf().rotation_overlap_seconds if seconds is None else seconds
    if not 0 <= overlap <= LONGEST_OVERLAP_SECONDS:
        told = f"must be from 0 to {LONGEST_OVERLAP_SECONDS} seconds"
        raise InvalidSubscriber(
            f"overlap_seconds {told}.", problems=[("/overlap_seconds", told)]
        )
    return overlap
