"""Percentiles from the buckets of a histogram, as Prometheus estimates them."""

from __future__ import annotations

import pytest

from router.observe.series import percentile


@pytest.mark.parametrize(
    ("counts", "share", "seconds"),
    [
        ({}, 0.5, None),
        # In the middle of the bucket from 0.05 to 0.1.
        ({"0.1": 10}, 0.5, 0.075),
        # At the end of the first of two, and in the second.
        ({"0.1": 50, "0.25": 50}, 0.5, 0.1),
        ({"0.1": 50, "0.25": 50}, 0.75, 0.175),
        # The lowest bucket begins at 0.
        ({"0.001": 4}, 0.5, 0.0005),
        # Of what is above the last bound no more is known.
        ({"+Inf": 3}, 0.99, 86_400),
    ],
)
def test_a_percentile_lies_within_its_bucket(
    counts: dict[str, int], share: float, seconds: float | None
) -> None:
    assert percentile(counts, share) == pytest.approx(seconds)
