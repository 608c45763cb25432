"""API keys are issued and revoked, each with a line in the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from router.conf import conf
from router.contract.errors import NameTaken
from router.contract.filters import EVERYTHING, prefix_problem
from router.db.async_commit import OFF
from router.flow import audit
from router.models import ApiKey, Clock, Scope

BINDINGS = ("sources", "types", "subscribers")
#: What the audit shows of a new key.
GIVEN = ("scopes", *BINDINGS, "expires_at", "calls_per_minute")
#: Scopes that are of use for subscribers alone.
FOR_SUBSCRIBERS = {Scope.CONSUME, Scope.MANAGE}


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

    `bindings` are patterns by the names of `BINDINGS`. A key that publishes for the
    sources that it names has all their types, where it names none. Raises `NameTaken`.
    """
    bound = {kind: list((bindings or {}).get(kind, ())) for kind in BINDINGS}
    if Scope.PUBLISH in scopes and bound["sources"]:
        bound["types"] = bound["types"] or [EVERYTHING]
    lasts = None if expires_in_days is None else timedelta(days=expires_in_days)
    try:
        with transaction.atomic():
            key, text = ApiKey.make(
                name,
                scopes=list(scopes),
                expires_at=lasts and timezone.now() + lasts,
                calls_per_minute=calls_per_minute,
                **bound,
            )
    except IntegrityError:
        problem = gettext(
            "There is a key with the name %(name)r already; choose another."
        ) % {"name": name}
        raise NameTaken(problem) from None
    given = {field: (None, value) for field in GIVEN if (value := getattr(key, field))}
    audit.note(
        "api_key.created",
        key,
        by=by,
        reason=reason,
        detail=", ".join(scopes),
        changes=given,
    )
    return key, text


@transaction.atomic
def revoke_key(key: ApiKey, *, by: str, reason: str = "") -> bool:
    """Refuse the key from now on; False when it was revoked before."""
    usable = ApiKey.objects.filter(pk=key.pk, revoked_at=None)
    is_changed = bool(usable.update(revoked_at=Clock()))
    if is_changed:
        audit.note("api_key.revoked", key, by=by, reason=reason)
    return is_changed


def reach_warnings(key: ApiKey) -> list[str]:
    """What an operator may not have meant: a key that reaches all, or nothing."""
    if not key.is_bound:
        return [
            gettext(
                "This key is bound to nothing: its scopes hold for every source, event "
                "type and subscriber. Bind each key to what its client needs."
            )
        ]
    warnings = []
    if Scope.PUBLISH in key.scopes and not (key.sources and key.types):
        warnings.append(
            gettext(
                "This key can publish nothing: a key that is bound needs sources and "
                "types too (* for all)."
            )
        )
    if not (key.subscribers or set(key.scopes).isdisjoint(FOR_SUBSCRIBERS)):
        warnings.append(
            gettext(
                "This key reaches no subscriber: a key that is bound needs subscribers "
                "too (* for all)."
            )
        )
    return warnings


def patterns_in(text: str) -> list[str]:
    """Comma-separated patterns: `/shop` is itself, `/shop/*` all that begins so.

    Raises `ValueError` for a `*` that is not at a pattern's end, or one too long.
    """
    patterns = list(dict.fromkeys(filter(None, map(str.strip, text.split(",")))))
    for pattern in patterns:
        if problem := prefix_problem(pattern):
            raise ValueError(problem)
    return patterns


# One moment for the whole statement, and the database's: hosts differ.
EPOCH = {
    "postgresql": "FLOOR(EXTRACT(EPOCH FROM STATEMENT_TIMESTAMP()))::bigint",
    "sqlite": "CAST(STRFTIME('%%s', 'NOW') AS INTEGER)",
}
COUNT = """
    UPDATE {table} SET
        calls_count = CASE WHEN minute = {epoch} / 60 THEN calls_count + 1 ELSE 1 END,
        minute = {epoch} / 60,
        last_used_at = {now}
    WHERE digest = %s{quickly}
    RETURNING *, {epoch} %% 60 AS second
"""
NOW = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}
# A count need not outlive the machine's power: its commit does not wait for the disk.
QUICKLY = f" AND {OFF} IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class Meter:
    """What a key may still call in this minute, this call taken off."""

    limit: int
    remaining: int
    reset_seconds: int
    is_spent: bool


def count_call(digest: str) -> tuple[ApiKey, Meter] | None:
    """The key of this digest with its call counted; None for a digest nobody has."""
    keys = list(ApiKey.objects.raw(_statement(), [digest]))
    if not keys:
        return None
    key = keys[0]
    limit = key.calls_per_minute or conf().api_calls_per_minute
    return key, Meter(
        limit=limit,
        remaining=max(0, limit - key.calls_count),
        reset_seconds=60 - key.second,  # type: ignore[attr-defined]  # of the statement
        is_spent=key.calls_count > limit,
    )


def _statement() -> str:
    # Within a transaction it would hold for all that the transaction writes.
    is_own = connection.vendor == "postgresql" and not connection.in_atomic_block
    return COUNT.format(
        table=connection.ops.quote_name(ApiKey._meta.db_table),
        epoch=EPOCH[connection.vendor],
        now=NOW[connection.vendor],
        quickly=QUICKLY if is_own else "",
    )
