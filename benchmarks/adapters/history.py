"""Scenarios that make the router's log long."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from django.db import connection

from benchmarks.project.handler import TYPE
from router.testing import (
    add_history,
    create_subscriber,
    delete_subscriber,
    register_declared,
)

#: What the handlers expect.
DATA = {"number": 0, "at_ns": 0}


def lengthen(options: argparse.Namespace) -> dict[str, Any]:
    """`--count` events that every subscriber has acknowledged."""
    register_declared()
    add_history(options.count, TYPE, DATA)
    _tidy()
    return {}


def outlive(options: argparse.Namespace) -> dict[str, Any]:
    """`--count` events, each for one of `--first` subscribers that were deleted."""
    for number in range(options.first):
        type_ = f"history.{number}"
        created = create_subscriber(
            f"deleted-{number}", by="bench", transport="pull", events=[type_]
        )
        add_history(options.count // options.first, type_, DATA)
        delete_subscriber(created.subscriber, by="bench")
    _tidy()
    return {}


def _tidy() -> None:
    with connection.cursor() as cursor:
        # Ten million rows take their time.
        cursor.execute("SET statement_timeout TO 0")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


SCENARIOS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "lengthen": lengthen,
    "outlive": outlive,
}
