"""How many times the events of one log several logs take, by `python -m
benchmarks.shards`.

A key's events belong to one log, so that the log with the most of them is full first:
what all take is its share, turned over. The keys are weighted by Zipf's law, the n-th
by n to the power of minus the exponent: an assumption, of which no shop was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

KEYS = 100_000
#: Exponent of Zipf's law → what it may be like.
EXPONENTS = {
    0.0: "all alike",
    0.5: "customers",
    0.8: "tenants",
    1.0: "tenants, one of them large",
}
LOGS = (2, 4, 8, 16, 32)


def weights(keys: int, exponent: float) -> list[float]:
    """Each key's share of the events, the largest first."""
    raw = [n**-exponent for n in range(1, keys + 1)]
    total = sum(raw)
    return [each / total for each in raw]


def log_of(key: int, logs: int) -> int:
    return int.from_bytes(sha256(str(key).encode()).digest()[:8]) % logs


def times(shares: Sequence[float], logs: int) -> float:
    """The events of so many logs ÷ those of one, when the fullest is at its limit."""
    load = [0.0] * logs
    for key, share in enumerate(shares):
        load[log_of(key, logs)] += share
    return 1 / max(load)


def main() -> None:
    print("exponent  largest key ", *(f"{logs:>6}" for logs in LOGS))
    for exponent, like in EXPONENTS.items():
        shares = weights(KEYS, exponent)
        found = (f"{times(shares, logs):6.2f}" for logs in LOGS)
        print(f"{exponent:8}  {shares[0]:10.2%}  ", *found, " ", like)


if __name__ == "__main__":
    main()
