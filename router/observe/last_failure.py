"""The last failures of what subscribers are owed, in the receivers' own words."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import OuterRef, Subquery

from router.models import Attempt, Delivery, DeliveryState, FailedTask, Subscriber

MAX_LENGTH = 200
#: The module before the name of an exception, which says nothing to operators.
MODULE = re.compile(r"^(?:[a-z_]\w*\.)+(?=[A-Z]\w*(?::|$))")


def last_failure(subscriber: Subscriber) -> str:
    """`HTTP 503: overloaded`, or the error's first line; empty when none is known."""
    return last_failures([subscriber.pk]).get(subscriber.pk, "")


def last_failures(subscriber_ids: Collection[int]) -> dict[int, str]:
    """Primary key of a subscriber → the last failure of what it is still owed.

    Those without one are left out. Reads deliveries that wait and have failed, by
    their index: one statement, and a second for the words.
    """
    if not subscriber_ids:
        return {}
    rows = Subscriber.objects.filter(pk__in=subscriber_ids)
    newest = dict(rows.values_list("pk", Subquery(_newest_attempt_of_subscriber())))
    words = _words(newest.values())
    return {pk: words[attempt] for pk, attempt in newest.items() if attempt in words}


def failures_given_up(task_ids: Collection[int]) -> dict[int, str]:
    """Primary key of a failed task → its last attempt in the receiver's words, or its
    own error where no attempt tells. Two statements."""
    if not task_ids:
        return {}
    attempts = Attempt.objects.filter(delivery_id=OuterRef("delivery_id"))
    newest = Subquery(attempts.exclude(error="").order_by("-pk").values("pk")[:1])
    tasks = FailedTask.objects.filter(pk__in=task_ids)
    rows = list(tasks.values_list("pk", "error", newest))
    words = _words(attempt for _, _, attempt in rows)
    return {pk: words.get(attempt) or error_line(error) for pk, error, attempt in rows}


def failures_of(delivery_ids: Collection[int]) -> dict[int, str]:
    """Primary key of a delivery → its last failure; those without one are left out.
    Two statements."""
    if not delivery_ids:
        return {}
    attempts = Attempt.objects.filter(delivery_id=OuterRef("pk")).exclude(error="")
    newest = Subquery(attempts.order_by("-pk").values("pk")[:1])
    rows = Delivery.objects.filter(pk__in=delivery_ids).values_list("pk", newest)
    last = dict(rows)
    words = _words(last.values())
    return {pk: words[attempt] for pk, attempt in last.items() if attempt in words}


def _newest_attempt_of_subscriber() -> Any:
    """The last failed attempt of the delivery of a subscriber that failed last."""
    failing = Delivery.objects.filter(
        subscriber=OuterRef(OuterRef("pk")),
        state=DeliveryState.PENDING,
        last_failed_at__isnull=False,
    )
    delivery = Subquery(failing.order_by("-last_failed_at").values("pk")[:1])
    attempts = Attempt.objects.filter(delivery_id=delivery).exclude(error="")
    return attempts.order_by("-pk").values("pk")[:1]


def _words(attempt_ids: Iterable[int | None]) -> dict[int | None, str]:
    attempts = Attempt.objects.filter(pk__in=[pk for pk in attempt_ids if pk])
    return {each.pk: words_of(each) for each in attempts.defer("traceback", "request")}


def words_of(attempt: Attempt) -> str:
    """What the receiver answered; else the error, when nothing was answered."""
    if attempt.http_status is None:
        return error_line(attempt.error)
    answer = printable_line(attempt.answer)
    return f"HTTP {attempt.http_status}" + (f": {answer}" if answer else "")


def error_line(error: str) -> str:
    """`ValueError: unknown currency`: the error's first line, without a module."""
    return MODULE.sub("", printable_line(error))


def printable_line(text: str) -> str:
    """The first line that is not blank, cut to `MAX_LENGTH`, safe for a terminal."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    # Python's split leaves control characters that a terminal would obey.
    shown = "".join(character if character.isprintable() else "�" for character in line)
    return shown if len(shown) <= MAX_LENGTH else f"{shown[:MAX_LENGTH]}…"
