"""What several logs take: never more than their number, nor than their largest key
lets them."""

from __future__ import annotations

import pytest

from benchmarks.shards import times, weights


@pytest.mark.parametrize("exponent", [0.0, 0.8, 1.2])
@pytest.mark.parametrize("logs", [1, 2, 8])
def test_the_fullest_log_is_the_limit(exponent: float, logs: int) -> None:
    shares = weights(1000, exponent)

    found = times(shares, logs)

    most = min(logs, 1 / shares[0])
    assert found > 1 or (logs == 1 and found == pytest.approx(1))
    assert found < most or found == pytest.approx(most)


def test_keys_that_are_alike_share_logs_nearly_evenly() -> None:
    assert times(weights(10_000, 0.0), 4) > 3.8
