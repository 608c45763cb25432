"""What Django is told of the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.databases import database

URL = "postgresql://fanfare@db.example/fanfare"


def test_without_an_address_it_is_a_file_of_our_own() -> None:
    found = database("", var_dir=Path("/srv/50 % of/var"), is_pooled=False)

    assert str(found["NAME"]) == "/srv/50 % of/var/fanfare.sqlite3"
    assert "prepare_threshold" not in found["OPTIONS"]


def test_a_session_of_our_own_keeps_plans() -> None:
    found = database(URL, var_dir=Path("var"), is_pooled=False)

    assert found["OPTIONS"]["prepare_threshold"] == 3
    assert not found["DISABLE_SERVER_SIDE_CURSORS"]


def test_a_session_from_a_pooler_keeps_nothing() -> None:
    found = database(URL, var_dir=Path("var"), is_pooled=True)

    assert found["OPTIONS"]["prepare_threshold"] is None
    assert found["DISABLE_SERVER_SIDE_CURSORS"]


def test_a_session_from_a_pooler_asks_for_nothing_as_it_connects() -> None:
    own = database(URL, var_dir=Path("var"), is_pooled=False)
    pooled = database(URL, var_dir=Path("var"), is_pooled=True)

    assert "-c lock_timeout=10s" in own["OPTIONS"]["options"]
    assert "options" not in pooled["OPTIONS"]


@pytest.mark.parametrize("address", [URL, "sqlite:////tmp/one.sqlite3"])
def test_what_the_address_says_wins(address: str) -> None:
    found = database(f"{address}?timeout=7", var_dir=Path("var"), is_pooled=False)

    assert found["OPTIONS"]["timeout"] == 7
