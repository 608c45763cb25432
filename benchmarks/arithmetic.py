"""Medians, percentiles and ratios of what was measured. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

DIGITS = 4


def percentile(values: Iterable[float], share: float) -> float | None:
    """A value that was seen, by the nearest rank; None of nothing."""
    ascending = sorted(values)
    if not ascending:
        return None
    return ascending[min(len(ascending) - 1, int(len(ascending) * share))]


def median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def medians(
    rounds: Sequence[Mapping[str, float | None]],
) -> dict[str, float | None]:
    """The median of each value that some of the rounds have."""
    names = sorted({name for values in rounds for name in values})
    return {
        name: rounded(
            median(
                [each for values in rounds if (each := values.get(name)) is not None]
            )
        )
        for name in names
    }


def spread(values: Sequence[float]) -> dict[str, float | None]:
    """The median of the rounds, and the least and the most of them."""
    return {
        "median": rounded(median(values)),
        "least": rounded(min(values, default=None)),
        "most": rounded(max(values, default=None)),
    }


def ratio(value: float | None, base: float | None) -> float | None:
    """`value` ÷ `base`; None where one of them is not known."""
    if value is None or not base:
        return None
    return rounded(value / base)


def ratios(
    value: float | None, bases: Mapping[str, float | None]
) -> dict[str, float | None]:
    """`ratio_to_<name>` for each of `bases`."""
    return {f"ratio_to_{name}": ratio(value, base) for name, base in bases.items()}


def rounded(value: float | None) -> float | None:
    """With the few significant digits that are more than noise."""
    return None if value is None else float(f"{value:.{DIGITS}g}")


def halves(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """The earlier and the later half: a wait that grows shows between them."""
    middle = len(values) // 2
    return values[:middle], values[middle:]
