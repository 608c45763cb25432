from __future__ import annotations

import json
from typing import Any

import pytest

from tests.known_vulnerabilities import NOT_JUDGED, judge

SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
FAULT = {"id": "PYSEC-2026-7", "fix_versions": ["5.2.20"], "aliases": []}
VULNERABLE = {**SOUND, "vulns": [FAULT]}
UNKNOWN = {"name": "idna", "skip_reason": "Dependency not found"}


def report(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    ("printed", "complaint", "code", "words"),
    [
        (report(SOUND), "", 0, "No known vulnerability in 1 packages"),
        (report(SOUND, VULNERABLE), "", 1, "django 5.2.19: PYSEC-2026-7, fixed in"),
        # pip-audit ends with 0 for what it skipped.
        (report(SOUND, UNKNOWN), "", 0, f"{NOT_JUDGED} 1 of 2 packages"),
        # What it knows counts, whatever it does not know.
        (report(UNKNOWN, VULNERABLE), "", 1, "5.2.20"),
        ("", "Traceback\nConnectionError: refused\n", 0, "ConnectionError: refused"),
        ("", "", 0, NOT_JUDGED),
    ],
)
def test_a_vulnerability_fails_and_missing_data_is_reported(
    printed: str, complaint: str, code: int, words: str
) -> None:
    judged, verdict = judge(printed, complaint)

    assert judged == code
    assert words in verdict
