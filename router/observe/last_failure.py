"""The last failure of what a subscriber is owed, in the receiver's own words."""

from __future__ import annotations

from router.models import Attempt, Delivery, DeliveryState, Subscriber

#: Deliveries that are asked for their last failure; an outage tries few of them.
MAX_DELIVERIES = 100
MAX_LENGTH = 200


def last_failure(subscriber: Subscriber) -> str:
    """`HTTP 503: overloaded`, or the error's first line; empty when none is known.

    Reads failed deliveries that are still owed: two statements.
    """
    failed = Delivery.objects.filter(
        subscriber=subscriber,
        state=DeliveryState.PENDING,
        last_failed_at__isnull=False,
    )
    newest = failed.order_by("-last_failed_at")
    ids = list(newest.values_list("pk", flat=True)[:MAX_DELIVERIES])
    attempts = Attempt.objects.filter(delivery_id__in=ids).exclude(error="")
    attempt = attempts.order_by("-pk").first()
    return words_of(attempt) if attempt else ""


def words_of(attempt: Attempt) -> str:
    """What the receiver answered; else the error, when nothing was answered."""
    if attempt.http_status is None:
        return printable_line(attempt.error)
    answer = printable_line(attempt.answer)
    return f"HTTP {attempt.http_status}" + (f": {answer}" if answer else "")


def printable_line(text: str) -> str:
    """The first line that is not blank, cut to `MAX_LENGTH`, safe for a terminal."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    # Python's split leaves control characters that a terminal would obey.
    shown = "".join(character if character.isprintable() else "�" for character in line)
    return shown if len(shown) <= MAX_LENGTH else f"{shown[:MAX_LENGTH]}…"
