"""The client reads every time that the router sends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from router.client.event import Event


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-03T04:05:06Z", datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (
            "2026-02-03T04:05:06.123456789Z",
            datetime(2026, 2, 3, 4, 5, 6, 123456, tzinfo=UTC),
        ),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2017-01-01T00:59:60+01:00", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_to_the_microsecond(text: str, moment: datetime) -> None:
    event = Event.from_cloudevent(
        {"id": "1", "source": "/x", "type": "a", "time": text}
    )

    assert event.time == moment
