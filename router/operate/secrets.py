"""Create signing secrets, show them once, rotate them with an overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Max, Model, QuerySet
from django.utils.translation import gettext

from router.conf import conf
from router.contract.errors import DoesNotApply, InvalidSubscriber, TooManySecrets
from router.contract.signing import make_secret
from router.flow import audit
from router.models import Clock, SigningSecret, Subscriber, Transport

MAX_OVERLAP_SECONDS = 30 * 24 * 3600
#: The newest, and the old ones that overlap.
MAX_LIVE_SECRETS = 5


@dataclass(frozen=True, kw_only=True)
class Rotated:
    """The new secret, and when the last old one stops signing."""

    secret: str
    old_expire_at: datetime | None


def new_secret(subscriber: Subscriber) -> str:
    """Make a secret that signs from now on; its text is shown once."""
    text = make_secret()
    SigningSecret.objects.create(subscriber=subscriber, secret=text)
    return text


@transaction.atomic
def rotate_secret(
    subscriber: Subscriber,
    *,
    by: str,
    reason: str = "",
    overlap_seconds: int | None = None,
    end_old_secrets: bool = False,
) -> Rotated:
    """Make a new secret; the one before it goes on signing for the overlap.

    Secrets that an earlier rotation promised to keep stay until the time that it named,
    or end now with `end_old_secrets`. Raises `InvalidSubscriber` for an overlap that is
    negative or longer than 30 days, `DoesNotApply` for a subscriber that is not reached
    by webhook, and `TooManySecrets`.
    """
    overlap = _checked_overlap(overlap_seconds)
    if subscriber.transport != Transport.WEBHOOK:
        raise DoesNotApply(
            gettext("Only webhooks are signed; this subscriber has none.")
        )
    Subscriber.objects.select_for_update().get(pk=subscriber.pk)
    before = SigningSecret.objects.filter(subscriber=subscriber)
    if end_old_secrets:
        before.live().exclude(expires_at=None).update(expires_at=Clock())
    _refuse_too_many(before.live())
    ends = Clock() + timedelta(seconds=overlap)
    before.filter(expires_at=None).update(expires_at=ends)
    last = before.live().aggregate(at=Max("expires_at"))["at"]
    secret = new_secret(subscriber)
    _note(subscriber, overlap, is_ended=end_old_secrets, by=by, reason=reason)
    return Rotated(secret=secret, old_expire_at=last)


@transaction.atomic
def show_secrets(
    subscriber: Subscriber, *, by: str, reason: str = ""
) -> list[SigningSecret]:
    """The secrets that sign its webhooks now, the newest first, for its owner's eyes.

    Staff and API keys see a secret once; the owner may come back for it. Raises
    `DoesNotApply` for a subscriber that is not reached by webhook.
    """
    if subscriber.transport != Transport.WEBHOOK:
        raise DoesNotApply(
            gettext("Only webhooks are signed; this subscriber has none.")
        )
    audit.note("subscriber.secret_shown", subscriber, by=by, reason=reason)
    return list(SigningSecret.objects.live().filter(subscriber=subscriber))


def _refuse_too_many(live: QuerySet[SigningSecret]) -> None:
    """Each signs every webhook: the header grows, and receivers try them all."""
    ends = [secret.expires_at for secret in live if secret.expires_at]
    if len(live) < MAX_LIVE_SECRETS:
        return
    listed = ", ".join(f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in sorted(ends))
    raise TooManySecrets(
        gettext(
            "%(count)s secrets sign its webhooks already, the most that may. "
            "The old ones end at %(times)s. Wait for the first end, or "
            "rotate with `end_old_secrets`: the old ones then end at once, "
            "and the present one after the overlap."
        )
        % {"count": len(live), "times": listed}
    )


def _note(
    subscriber: Subscriber, overlap: int, *, is_ended: bool, by: str, reason: str
) -> None:
    audit.note(
        "subscriber.secret_rotated",
        subscriber,
        by=by,
        reason=reason,
        detail=f"overlap {overlap} s" + (", old secrets ended" if is_ended else ""),
    )


def _checked_overlap(seconds: int | None) -> int:
    overlap = conf().rotation_overlap_seconds if seconds is None else seconds
    if not 0 <= overlap <= MAX_OVERLAP_SECONDS:
        problem = f"must be from 0 to {MAX_OVERLAP_SECONDS} seconds"
        raise InvalidSubscriber(
            f"overlap_seconds {problem}.", problems=[("/overlap_seconds", problem)]
        )
    return overlap


#: Model → its encrypted field.
ENCRYPTED: tuple[tuple[type[Model], str], ...] = (
    (SigningSecret, "secret"),
    (Subscriber, "custom_headers"),
    (Subscriber, "secret_url"),
    (Subscriber, "secret_target"),
)
BATCH = 200


def encrypted_count() -> int:
    """How many rows hold something encrypted."""
    return sum(_rows(model, field).count() for model, field in ENCRYPTED)


def reencrypt_all() -> Iterator[int]:
    """Encrypt them anew in steps that commit one by one; yields the rows of each step.

    Doing it again, also after it was cut off, does no harm. Raises
    `ImproperlyConfigured` when the key of a row is missing; that row stays as it is.
    """
    for model, field in ENCRYPTED:
        last = 0
        while step := _reencrypt_step(model, field, after=last):
            last = step[-1]
            yield len(step)


@transaction.atomic
def _reencrypt_step(model: type[Model], field: str, *, after: int) -> list[int]:
    rows = list(
        _rows(model, field)
        .filter(pk__gt=after)
        .select_for_update(of=("self",))
        .only("pk", field)
        .order_by("pk")[:BATCH]
    )
    for row in rows:
        row.save(update_fields=[field])
    return [row.pk for row in rows]


def _rows(model: type[Model], field: str) -> Any:
    everything: Any = model._default_manager.all()
    return everything.exclude(**{f"{field}__exact": ""})
