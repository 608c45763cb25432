"""What `manage.py doctor` looks at, one subject a module."""

from __future__ import annotations

from collections.abc import Iterator

from router.management.doctor.broker import examine_broker
from router.management.doctor.database import examine_database
from router.management.doctor.finding import Finding, Level
from router.management.doctor.incidents import examine_incidents
from router.management.doctor.processes import examine_processes
from router.management.doctor.schemas import examine_schemas
from router.management.doctor.settings import examine_settings

__all__ = ["Finding", "Level", "examine"]


def examine() -> Iterator[Finding]:
    """Every finding, each as soon as it is known."""
    yield from examine_settings()
    yield from examine_database()
    yield from examine_broker()
    yield from examine_processes()
    yield from examine_incidents()
    yield from examine_schemas()
