"""What `manage.py screenshots` says where something that it needs is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from config.management.commands import screenshots


def test_without_playwright_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(screenshots, "HAS_PLAYWRIGHT", False)

    with pytest.raises(CommandError, match=r"tests/requirements\.txt"):
        call_command("screenshots", into=tmp_path)


def test_without_a_browser_it_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CommandError, match="set CHROMIUM"):
        call_command("screenshots", into=tmp_path)
