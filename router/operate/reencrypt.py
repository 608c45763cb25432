"""Writes every secret of the database anew, under the newest encryption key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.db.models import Model

from router.models import SigningSecret, Subscriber

#: Model → its encrypted field.
ENCRYPTED: tuple[tuple[type[Model], str], ...] = (
    (SigningSecret, "secret"),
    (Subscriber, "custom_headers"),
    (Subscriber, "secret_url"),
)
BATCH = 200


def encrypted_count() -> int:
    """How many rows hold something encrypted."""
    return sum(_rows(model, field).count() for model, field in ENCRYPTED)


def reencrypt_all() -> Iterator[int]:
    """Write them anew in steps that commit one by one; yields the rows of each step.

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
