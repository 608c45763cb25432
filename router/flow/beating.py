"""Signs of life of dispatchers and workers, in the database."""

from __future__ import annotations

from router.models import Clock, Heartbeat


def beat(
    name: str, kind: Heartbeat.Kind, *, is_broker_reachable: bool | None = None
) -> None:
    """Say that this one lives, and what it sees of the broker."""
    Heartbeat.objects.update_or_create(
        name=name,
        defaults={
            "kind": kind,
            "beat_at": Clock(),
            "is_broker_reachable": is_broker_reachable,
        },
    )


def fall_silent(name: str) -> None:
    """Take the sign of life back at a clean stop."""
    Heartbeat.objects.filter(name=name).delete()
