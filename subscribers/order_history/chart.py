"""The bars of a chart, ready to draw: the template turns them into SVG.

The drawing is stretched to its place, so that it holds no text; labels stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

WIDTH = 1000
HEIGHT = 240
GAP = 0.25
#: What the first digit of the axis's end may be: the ends of a round scale.
ROUND = (1, 2, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One day; places in units of the drawing, as text that no locale changes."""

    day: date
    amount_minor: int
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Bars from the first day to the last on a scale from 0 to `top_minor`."""

    bars: tuple[Bar, ...]
    top_minor: int

    @property
    def middle_minor(self) -> int:
        return self.top_minor // 2

    @property
    def best(self) -> Bar:
        return max(self.bars, key=lambda bar: bar.amount_minor)

    @property
    def ticks(self) -> list[date]:
        """A few days to write below: the first, the last, and some between."""
        last = len(self.bars) - 1
        steps = min(4, last)
        if not steps:
            return [self.bars[0].day]
        return [self.bars[step * last // steps].day for step in range(steps + 1)]


def draw(days: Sequence[date], amounts: Mapping[date, int]) -> Chart:
    """A bar for every day, those without sales included."""
    top = rounded_up(max(amounts.values(), default=0))
    slot = WIDTH / len(days)
    bars = tuple(
        _bar(place * slot, slot, day, amounts.get(day, 0), top)
        for place, day in enumerate(days)
    )
    return Chart(bars=bars, top_minor=top)


def rounded_up(amount: int) -> int:
    """The end of a round scale that holds the amount: 1, 2 or 5 times a power of 10."""
    power: int = 10 ** (len(str(max(amount, 1))) - 1)
    return next(step * power for step in ROUND if step * power >= amount)


def _bar(left: float, slot: float, day: date, amount: int, top: int) -> Bar:
    height = HEIGHT * amount / top
    return Bar(
        day=day,
        amount_minor=amount,
        x=f"{left + slot * GAP / 2:.2f}",
        y=f"{HEIGHT - height:.2f}",
        width=f"{slot * (1 - GAP):.2f}",
        height=f"{height:.2f}",
    )
