"""How far a contender has come, by its own database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Protocol

import dj_database_url
import psycopg
from django.db import connection

from benchmarks.contenders import Contender, Statements
from benchmarks.results import Finished
from router.testing import acknowledged, has_dispatcher, is_settled


class Progress(Protocol):
    def is_open(self) -> bool:
        """Whether there is still work to do."""

    def finished(self, since: float) -> Finished:
        """What is done after that moment, in seconds since the epoch."""

    def has_dispatcher(self) -> bool:
        """Whether its dispatcher works."""

    def close(self) -> None:
        """End its session with the database."""


class SqlProgress:
    """By the statements of a contender."""

    def __init__(self, url: str, statements: Statements) -> None:
        self._url = url
        self._statements = statements

    def is_open(self) -> bool:
        return bool(first_row(self._url, self._statements.is_open)[0])

    def finished(self, since: float) -> Finished:
        count, first_at, last_at = first_row(self._url, self._statements.done, since)
        return Finished(count=count, first_at=first_at or 0.0, last_at=last_at or 0.0)

    def has_dispatcher(self) -> bool:
        statement = self._statements.has_dispatcher
        return not statement or bool(first_row(self._url, statement)[0])

    def close(self) -> None:
        """Each statement has its own session."""


class RouterProgress:
    """Of Fanfare, through Django's connection of this process."""

    def __init__(self, url: str) -> None:
        connection.close()
        address = dj_database_url.parse(url)
        for part in ("NAME", "HOST", "PORT", "USER", "PASSWORD"):
            connection.settings_dict[part] = address[part]
        # The folder of a unix socket.
        connection.settings_dict["OPTIONS"].update(address.get("OPTIONS", {}))

    def is_open(self) -> bool:
        return not is_settled()

    def finished(self, since: float) -> Finished:
        done = acknowledged(since=datetime.fromtimestamp(since, UTC))
        return Finished(
            count=done.count,
            first_at=done.first_at.timestamp() if done.first_at else 0.0,
            last_at=done.last_at.timestamp() if done.last_at else 0.0,
        )

    def has_dispatcher(self) -> bool:
        return has_dispatcher()

    def close(self) -> None:
        connection.close()


def progress_of(contender: Contender, url: str) -> Progress | None:
    """None: it has no database."""
    if contender.statements is not None:
        return SqlProgress(url, contender.statements)
    return RouterProgress(url) if contender.is_router else None


def first_row(url: str, statement: str, *values: object) -> tuple[Any, ...]:
    with psycopg.connect(url, autocommit=True) as opened:
        row = opened.execute(statement.encode(), values or None).fetchone()
    return row or ()
