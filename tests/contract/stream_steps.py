"""Steps of tests of what is served in the stream."""

from __future__ import annotations

from django.contrib.auth.models import User

from router.flow.cursor.reading import Chunk
from router.models import Cursor, Subscriber, Turn
from router.public import Event


def cursor() -> Cursor:
    return Cursor.objects.get()


def turn() -> Turn:
    return Turn.objects.get()


def is_measured(run_ms: float = 0.1, **columns: object) -> None:
    """Chunks are large."""
    Subscriber.objects.update(mean_run_ms=run_ms, **columns)


def leave_a_mark(event: Event) -> None:
    User.objects.create_user(f"user-{event.data['n']}")


def marks() -> set[str]:
    return set(User.objects.values_list("username", flat=True))


def give_back(chunk: Chunk) -> None:
    Turn.objects.filter(token=chunk.token).update(token=None, leased_until=None)
