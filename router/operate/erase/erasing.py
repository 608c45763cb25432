"""Erase: overwrite the personal data of one customer, wherever it is kept.

Ids, totals, digests and the audit stay. All is one transaction: it is done whole or not
at all, and a second run finds what came since.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from django.db import transaction
from django.utils.module_loading import import_string

from router import registry
from router.conf import conf, digest_key
from router.contract.personal import Customer
from router.flow import audit
from router.operate.erase.finding import Search, personal_fields
from router.operate.erase.rows import (
    erase_events,
    erase_evidence,
    erase_ingress,
    lock_all,
    rows_of,
)

#: Of the digest that stands for the address in the audit.
DIGEST_LENGTH = 16


@dataclass(kw_only=True)
class Erased:
    """How many rows of each kind were overwritten, or would be in a dry run."""

    rows: Counter[str] = field(default_factory=Counter)
    #: Numbers of events that have the address where no schema says that it is personal.
    unmarked: list[int] = field(default_factory=list)


def search_for(email: str) -> Search:
    """The search for the customer's events; `steps` goes through the log."""
    personal_fields.cache_clear()
    name = conf().customer_ids
    ids = import_string(name)(email) if name else ()
    return Search(customer=Customer(email=email, ids=frozenset(ids)))


def count(search: Search) -> Erased:
    """What `erase` would overwrite."""
    rows = Counter(rows_of(search.numbers))
    rows["ingress failed tasks"] = erase_ingress(search.customer, is_dry_run=True)
    rows.update(_by_erasers(search.whose(), is_dry_run=True))
    return Erased(rows=+rows, unmarked=search.unmarked)


@transaction.atomic
def erase(search: Search, *, by: str, reason: str = "") -> Erased:
    """Overwrite what the search found, and what was published since.

    Every lease that may hold the data ends first: a chunk that read it would write it
    again after this is committed.
    """
    lock_all(search.numbers)
    before = len(search.numbers)
    for _ in search.steps():
        pass
    if len(search.numbers) > before:
        lock_all(search.numbers)
    rows = Counter(rows_of(search.numbers))
    erase_events(search.numbers)
    erase_evidence(search.numbers, search.texts)
    rows["ingress failed tasks"] = erase_ingress(search.customer, is_dry_run=False)
    rows.update(_by_erasers(search.whose(), is_dry_run=False))
    done = Erased(rows=+rows, unmarked=search.unmarked)
    detail = ", ".join(f"{number} {name}" for name, number in sorted(done.rows.items()))
    target = f"customer {address_digest(search.customer.email)}"
    audit.note("customer.erased", target, by=by, reason=reason, detail=detail)
    return done


def address_digest(email: str) -> str:
    """What stands for an address in the audit: keyed, so that nobody guesses it."""
    digest = hmac.digest(
        digest_key(), b"erase\x1f" + email.casefold().encode(), "sha256"
    )
    return digest.hex()[:DIGEST_LENGTH]


def _by_erasers(customer: Customer, *, is_dry_run: bool) -> Mapping[str, int]:
    rows: Counter[str] = Counter()
    for eraser in _erasers():
        rows.update(eraser(customer, is_dry_run=is_dry_run))
    return rows


def _erasers() -> Iterator[Callable[..., Mapping[str, int]]]:
    yield from map(import_string, conf().erasers)
    yield from registry.erasers()
