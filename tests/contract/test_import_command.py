"""`manage.py import_history`: what it records, says, refuses and leaves open."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from router.models import AuditEntry, LogHead
from router.operate import importing
from tests.contract import past_facts
from tests.contract.past_facts import fact, given, positions, stop_midway
from tests.contract.steps import TYPE

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("past"),
]


def test_the_command_imports_and_closes() -> None:
    given[:] = [fact(n) for n in range(3)]
    assert "3 facts would be recorded" in _command("--dry-run")
    assert not positions()
    assert "3 facts recorded, 0 were there." in _command(TYPE)
    assert "0 facts recorded, 3 were there." in _command()
    given.append(fact(9, id=""))
    with pytest.raises(CommandError, match="1 fact refused"):
        _command("--since", "2020-01-02")
    with pytest.raises(CommandError, match="No import is open"):
        _command("--close")
    stop_midway(7)
    assert "closed" in _command("--close", "--reason", "enough")
    assert not LogHead.objects.get().is_import_open
    noted = AuditEntry.objects.order_by("pk").values_list("action", "reason")
    assert noted[0] == ("log.import_begun", "")
    assert noted.last() == ("log.import_closed", "enough")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["purchase.completed"], f"It names {TYPE}"),
        (["--since", "yesterday"], "2026-02-03"),
    ],
)
def test_the_command_says_what_is_wrong(options: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        _command(*options)


def test_an_iterator_that_fails_leaves_the_import_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "STEP", 1)
    given[:] = [fact(0), {"a": "secret", "time": None}]
    monkeypatch.setattr(past_facts, "facts", _failing)
    with pytest.raises(
        CommandError, match=r"facts failed: ValueError.*is open"
    ) as raised:
        _command()
    assert "secret" not in str(raised.value)
    assert LogHead.objects.get().is_import_open
    monkeypatch.undo()
    given[:] = [fact(0), fact(1), fact(2)]
    assert "1 fact recorded, 2 were there." in _command()
    assert not LogHead.objects.get().is_import_open


def _failing(since: object = None) -> Iterator[dict[str, Any]]:
    yield fact(0)
    yield fact(1)
    raise ValueError("secret")


def _command(*options: str) -> str:
    output = StringIO()
    call_command("import_history", *options, stdout=output)
    return output.getvalue()
