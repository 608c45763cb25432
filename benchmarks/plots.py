"""Small bar charts as SVG, in the style of the pictures of the docs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 760
LEFT, RIGHT = 224, 130
ROW, GAP, TOP, BOTTOM = 30, 34, 64, 20
THICKNESS = 18
MIN_BAR = 3
#: How far the smallest bar of a logarithmic chart reaches.
LOG_START = 0.04

STYLE = """
    text { font: 500 14px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; fill: #2b2733; }
    .name { font-weight: 650; font-size: 16px; }
    .small { font-size: 12.5px; font-weight: 450; fill: #625b6b; }
    .head { font-size: 12px; font-weight: 650; letter-spacing: .08em; fill: #6d6576; }
    .sheet { fill: #faf7f1; stroke: #e2dbce; }
    .bar { fill: #cfc6b8; }
    .ours { fill: #c98a1c; }
    @media (prefers-color-scheme: dark) {
      text { fill: #f1ecf4; }
      .small { fill: #b9b1c2; }
      .head { fill: #b3aabd; }
      .sheet { fill: #1d1a23; stroke: #37323f; }
      .bar { fill: #5b5367; }
      .ours { fill: #dca23a; }
    }
"""  # noqa: E501 - one list of fonts


@dataclass(frozen=True, kw_only=True)
class Bar:
    label: str
    value: float
    text: str
    is_ours: bool = False


@dataclass(frozen=True, kw_only=True)
class Group:
    heading: str
    bars: Sequence[Bar]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Bars in groups, on a linear or a logarithmic scale."""

    name: str
    title: str
    remark: str
    groups: Sequence[Group]
    is_log: bool = False

    @property
    def bars(self) -> list[Bar]:
        return [bar for group in self.groups for bar in group.bars]


def svg(chart: Chart) -> str:
    """The whole picture, with its content in words."""
    description = "; ".join(
        f"{group.heading} {bar.label} {bar.text}".strip()
        for group in chart.groups
        for bar in group.bars
    )
    height, body = _body(chart)
    name = chart.name
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' role="img" aria-labelledby="{name}-title {name}-desc">',
            f'  <title id="{name}-title">{escape(chart.title)}</title>',
            f'  <desc id="{name}-desc">{escape(description)}</desc>',
            f"  <style>{STYLE}  </style>",
            f'  <rect x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="18"'
            ' class="sheet"/>',
            *body,
            "</svg>\n",
        ]
    )


def _body(chart: Chart) -> tuple[int, list[str]]:
    lines = [
        _text(28, 34, chart.title, "name"),
        _text(28, 54, chart.remark, "small"),
    ]
    y = TOP
    for group in chart.groups:
        if group.heading:
            y += GAP
            lines.append(_text(28, y - 6, group.heading.upper(), "head"))
        for bar in group.bars:
            lines += _bar(bar, y, _share(chart, bar))
            y += ROW
    return y + BOTTOM, lines


def _bar(bar: Bar, y: int, share: float) -> list[str]:
    length = max(MIN_BAR, round((WIDTH - LEFT - RIGHT) * share))
    kind = "ours" if bar.is_ours else "bar"
    middle = y + THICKNESS // 2 + 7
    return [
        _text(LEFT - 12, middle, bar.label, "", anchor="end"),
        f'  <rect x="{LEFT}" y="{y + 2}" width="{length}" height="{THICKNESS}" rx="4"'
        f' class="{kind}"/>',
        _text(LEFT + length + 10, middle, bar.text, "small"),
    ]


def _share(chart: Chart, bar: Bar) -> float:
    """The length of a bar ÷ that of the longest."""
    values = [other.value for other in chart.bars if other.value > 0]
    if bar.value <= 0 or not values:
        return 0.0
    most, least = max(values), min(values)
    if not chart.is_log or most == least:
        return bar.value / most
    reach = math.log(bar.value / least) / math.log(most / least)
    return LOG_START + (1 - LOG_START) * reach


def _text(x: int, y: int, words: str, kind: str, *, anchor: str = "start") -> str:
    style = f' class="{kind}"' if kind else ""
    place = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'  <text x="{x}" y="{y}"{style}{place}>{escape(words)}</text>'
