"""A backend of Django's tasks: a task is an event, owed to the subscriber of its queue.

`enqueue()` writes one row in the caller's transaction; leases, retries, breaker, failed
tasks, screens and metrics are those of every event.
"""

from __future__ import annotations

from router.task_backend.backend import FanfareBackend

__all__ = ["FanfareBackend"]
