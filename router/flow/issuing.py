"""API keys are issued and revoked, each with a line in the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from router.contract.errors import NameTaken
from router.flow import auditing
from router.models import ApiKey, Clock

BINDINGS = ("sources", "types", "subscribers")
LONGEST_PATTERN = 255


@sensitive_variables("text")
@transaction.atomic
def issue_key(
    name: str,
    *,
    scopes: Sequence[str],
    by: str,
    reason: str = "",
    bindings: Mapping[str, Sequence[str]] | None = None,
    expires_in_days: int | None = None,
    calls_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown this once.

    `bindings` are patterns by the names of `BINDINGS`. Raises `NameTaken`.
    """
    lasts = None if expires_in_days is None else timedelta(days=expires_in_days)
    try:
        with transaction.atomic():
            key, text = ApiKey.make(
                name,
                scopes=list(scopes),
                expires_at=lasts and timezone.now() + lasts,
                calls_per_minute=calls_per_minute,
                **{kind: list(patterns) for kind, patterns in (bindings or {}).items()},
            )
    except IntegrityError:
        told = f"There is a key with the name {name!r} already; choose another."
        raise NameTaken(told) from None
    auditing.note(
        "api_key.created",
        f"key {name}",
        by=by,
        reason=reason,
        detail=", ".join(scopes),
    )
    return key, text


@transaction.atomic
def revoke_key(key: ApiKey, *, by: str, reason: str = "") -> bool:
    """Refuse the key from now on; False when it was revoked before."""
    usable = ApiKey.objects.filter(pk=key.pk, revoked_at=None)
    is_changed = bool(usable.update(revoked_at=Clock()))
    if is_changed:
        auditing.note("api_key.revoked", f"key {key.name}", by=by, reason=reason)
    return is_changed


def patterns_in(text: str) -> list[str]:
    """Comma-separated patterns: `/shop` is itself, `/shop/*` all that begins so.

    Raises `ValueError` for a `*` that is not at a pattern's end, or one too long.
    """
    patterns = list(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))
    for pattern in patterns:
        if "*" in pattern[:-1]:
            raise ValueError(f"{pattern!r}: a * may stand at the end only")
        if len(pattern) > LONGEST_PATTERN:
            raise ValueError(f"a pattern may have {LONGEST_PATTERN} characters")
    return patterns
