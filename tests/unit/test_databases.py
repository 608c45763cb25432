"""What Django is told of the database."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from django.db.utils import ConnectionHandler
from pytest_django.plugin import DjangoDbBlocker

from config.databases import database

URL = "postgresql://fanfare@db.example/fanfare"


def test_without_an_address_it_is_a_file_of_our_own() -> None:
    chosen = database("", var_dir=Path("/srv/50 % of/var"), is_pooled=False)

    assert str(chosen["NAME"]) == "/srv/50 % of/var/fanfare.sqlite3"
    assert "prepare_threshold" not in chosen["OPTIONS"]


def test_a_file_of_our_own_is_closed_to_other_accounts(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    usual = os.umask(0o022)
    try:
        own = database("", var_dir=tmp_path, is_pooled=False)
        connection = ConnectionHandler({"default": own})["default"]
        with django_db_blocker.unblock(), closing(connection):
            connection.cursor().execute("CREATE TABLE customers (name)")
            modes = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    finally:
        os.umask(usual)

    assert "fanfare.sqlite3" in modes
    assert {mode & 0o077 for mode in modes.values()} == {0}


def test_a_session_of_our_own_keeps_plans() -> None:
    chosen = database(URL, var_dir=Path("var"), is_pooled=False)

    assert chosen["OPTIONS"]["prepare_threshold"] == 0
    assert not chosen["DISABLE_SERVER_SIDE_CURSORS"]


def test_a_session_from_a_pooler_keeps_nothing() -> None:
    chosen = database(URL, var_dir=Path("var"), is_pooled=True)

    assert chosen["OPTIONS"]["prepare_threshold"] is None
    assert chosen["DISABLE_SERVER_SIDE_CURSORS"]


def test_a_session_from_a_pooler_asks_for_nothing_as_it_connects() -> None:
    own = database(URL, var_dir=Path("var"), is_pooled=False)
    pooled = database(URL, var_dir=Path("var"), is_pooled=True)

    assert "-c lock_timeout=10s" in own["OPTIONS"]["options"]
    assert "options" not in pooled["OPTIONS"]


@pytest.mark.parametrize("address", [URL, "sqlite:////tmp/one.sqlite3"])
def test_what_the_address_says_wins(address: str) -> None:
    chosen = database(f"{address}?timeout=7", var_dir=Path("var"), is_pooled=False)

    assert chosen["OPTIONS"]["timeout"] == 7
