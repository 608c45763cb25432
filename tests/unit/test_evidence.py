"""What is kept of a failure: its kind is never parsed out of its message."""

from __future__ import annotations

import pytest

from router.contract.outcomes import Evidence


@pytest.mark.parametrize(
    ("evidence", "error"),
    [
        (Evidence("ValueError", "at 10:30: no"), "ValueError: at 10:30: no"),
        (Evidence("ValueError"), "ValueError"),
        (Evidence(), ""),
    ],
)
def test_evidence_is_stored_as_people_read_it(evidence: Evidence, error: str) -> None:
    assert evidence.error == error
    assert Evidence.stored(error, "") == evidence
