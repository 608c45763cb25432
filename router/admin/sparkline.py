"""A row of small bars: how a count went over time, beside the count itself."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

BAR, GAP, HEIGHT = 4, 1, 24


def sparkline(counts: Sequence[int], *, label: str) -> SafeString:
    """An SVG with one bar for each count, the last one at the right; `label` says what
    the picture shows to those who do not see it."""
    top = max(counts, default=0) or 1
    bars = [
        (index * (BAR + GAP), HEIGHT - height, BAR, height)
        for index, count in enumerate(counts)
        # One of a thousand is a bar too.
        if (height := round(count / top * HEIGHT) or min(count, 1))
    ]
    return format_html(
        '<svg class="fan-sparkline" role="img" width="{0}" height="{1}"'
        ' viewBox="0 0 {0} {1}" aria-label="{2}"><title>{2}</title>{3}</svg>',
        len(counts) * (BAR + GAP) - GAP,
        HEIGHT,
        label,
        format_html_join("", '<rect x="{}" y="{}" width="{}" height="{}"/>', bars),
    )
