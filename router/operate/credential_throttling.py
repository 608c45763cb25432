"""A client that sends wrong credentials waits ever longer before its next try.

Each try is counted before its credential is checked, so that tries at the same moment
do not pass together; a right credential gives the count back. The counts are in the
database: all processes share them, and they outlive a restart.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils.crypto import salted_hmac

from router.conf import conf
from router.flow import audit
from router.models import Clock, CredentialThrottle

logger = logging.getLogger(__name__)

KNOWN = timedelta(days=90)
#: A subscriber of a provider has at least this much of IPv6.
IPV6_PREFIX = 64
MAX_PRUNED = 100


@dataclass(frozen=True)
class Bucket:
    """What is counted together, such as one address or one account."""

    kind: str
    value: str
    #: Its name in the audit; no text that a client sent, which may be a password.
    label: Callable[[], str]
    #: Wrong credentials before the first wait.
    limit: int
    #: Several accounts share it: a right credential of one forgives no other.
    is_shared: bool = False

    @property
    def key(self) -> str:
        text = f"{self.kind}\n{self.value}"
        return salted_hmac("router.throttle", text, algorithm="sha256").hexdigest()


class MustWait(Exception):
    """This try is refused, whether its credential is right or not."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"{seconds} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Try:
    """A try that was admitted and counted as wrong; settle it with its result."""

    counted: tuple[tuple[Bucket, CredentialThrottle], ...]

    def right(self) -> None:
        """Take the count back, in a bucket of one account all of it."""
        for bucket, row in self.counted:
            rows = CredentialThrottle.objects.filter(pk=row.pk)
            if not bucket.is_shared:
                rows.update(failures=0, blocked_until=None)
            # A wait that another try has begun meanwhile goes on.
            elif not rows.filter(failures=row.failures).update(
                failures=F("failures") - 1, blocked_until=None
            ):
                rows.filter(failures__gt=0).update(failures=F("failures") - 1)

    def wrong(self, action: str) -> list[tuple[Bucket, CredentialThrottle]]:
        """Note each wait that begins, in the audit and in the log.

        Returns those that are the first of their bucket.
        """
        for bucket, row in self.counted:
            if row.blocked_until is not None:
                _note(action, bucket, row)
        _prune()
        return [(each, row) for each, row in self.counted if row.failures == each.limit]


def address_bucket(kind: str, address: str) -> Bucket:
    """All clients of one address, or of one network of IPv6."""
    network = network_of(address)
    limit = conf().max_wrong_by_address
    return Bucket(
        kind, network, lambda: f"address {network}, {kind}", limit, is_shared=True
    )


def network_of(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ip_network((int(parsed), IPV6_PREFIX), strict=False))
    return str(parsed)


def admit(buckets: Iterable[Bucket]) -> Try:
    """Count a try. Raises `MustWait` while one of the buckets has to wait."""
    by_key = {bucket.key: bucket for bucket in buckets}
    rows = CredentialThrottle.objects.filter(pk__in=by_key).annotate(now=Clock())
    # Most refusals end here, without a lock.
    _refuse_blocked(rows)
    with transaction.atomic():
        # In one order everywhere, so that two tries never wait for each other.
        CredentialThrottle.objects.bulk_create(
            [CredentialThrottle(key=key, forget_at=Clock()) for key in sorted(by_key)],
            ignore_conflicts=True,
        )
        locked = list(rows.order_by("pk").select_for_update())
        _refuse_blocked(locked)
        for row in locked:
            _count(row, by_key[row.key].limit)
    return Try(tuple((by_key[row.key], row) for row in locked))


def remember(bucket: Bucket) -> None:
    """This account has signed in from this address."""
    known = {"known_until": Clock() + KNOWN}
    CredentialThrottle.objects.update_or_create(
        pk=bucket.key, defaults=known, create_defaults={**known, "forget_at": Clock()}
    )


def is_known(bucket: Bucket) -> bool:
    rows = CredentialThrottle.objects.filter(pk=bucket.key, known_until__gt=Clock())
    return rows.exists()


def wait_after(failures: int, limit: int) -> timedelta | None:
    """The wait that this failure begins; waits double from the first to the longest."""
    if failures < limit:
        return None
    first, longest = (
        conf().throttle_first_seconds,
        conf().throttle_maximum_seconds,
    )
    return timedelta(seconds=min(longest, first * 2.0 ** min(failures - limit, 32)))


def _refuse_blocked(rows: Iterable[CredentialThrottle]) -> None:
    waits = [
        (row.blocked_until - row.now).total_seconds()  # type: ignore[attr-defined]
        for row in rows
        if row.blocked_until is not None
    ]
    if waits and max(waits) > 0:
        raise MustWait(math.ceil(max(waits)))


def _count(row: CredentialThrottle, limit: int) -> None:
    now = row.now  # type: ignore[attr-defined]  # of the query
    row.failures = 1 if row.forget_at < now else row.failures + 1
    wait = wait_after(row.failures, limit)
    row.blocked_until = now + wait if wait else None
    row.forget_at = now + timedelta(seconds=conf().throttle_forget_seconds)
    row.save(update_fields=["failures", "blocked_until", "forget_at"])


def _note(action: str, bucket: Bucket, row: CredentialThrottle) -> None:
    wait = wait_after(row.failures, bucket.limit) or timedelta()
    detail = f"{row.failures} wrong; the next try waits {wait.total_seconds():g} s"
    target = bucket.label()
    logger.warning("%s: %s, %s", action, target, detail)
    with transaction.atomic():
        audit.note(action, target, by=audit.ROUTER, detail=detail)


def _prune() -> None:
    """Delete some of the rows that say nothing any more."""
    is_over = Q(forget_at__lt=Clock()) & (
        Q(known_until=None) | Q(known_until__lt=Clock())
    )
    over: QuerySet[CredentialThrottle] = CredentialThrottle.objects.filter(is_over)
    with transaction.atomic():
        # A row that a try holds is not over; waiting for it could end in a deadlock.
        free = over.select_for_update(skip_locked=True).order_by("forget_at")
        CredentialThrottle.objects.filter(
            pk__in=list(free.values_list("pk", flat=True)[:MAX_PRUNED])
        ).delete()
