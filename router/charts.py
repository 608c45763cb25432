"""Charts as the server draws them: bars of one style, each group at one scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from router.display import NOTHING
from router.observe.series import Bucket, Window, percentile
from router.observe.wording import grouped, span

#: The drawing's own units; it is stretched to the width of its card.
WIDTH, HEIGHT = 600, 72
#: Of a bar that stands for more than nothing.
MIN_BAR = 1.5
GAP_SHARE = 0.2
Format = Callable[[float], str]
WINDOWS = {
    Window.HOUR: _("Hour"),
    Window.DAY: _("Day"),
    Window.WEEK: _("Week"),
}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bucket of a chart: where it stands, and what it says on hover."""

    x: float
    width: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One measure over time."""

    title: str
    tone: str
    #: All bars as one path, and a place to hover for each.
    path: str
    bars: tuple[Bar, ...]
    latest: str
    highest: str
    #: What the scale ends at; the same for all charts of the group.
    scale: str

    @property
    def viewbox(self) -> str:
        return f"0 0 {WIDTH} {HEIGHT}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """The values of a chart, None where nothing is known."""

    title: str
    values: Sequence[float | None]
    tone: str = "working"


@dataclass(frozen=True, kw_only=True)
class ChartGroup:
    """Small multiples beside each other, and all of their values as a table."""

    title: str
    began: str
    ended: str
    charts: tuple[Chart, ...]
    #: Time → the values of the charts, the newest first.
    rows: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def is_empty(self) -> bool:
        return not any(chart.path for chart in self.charts)


def chart_group(
    title: str, moments: Sequence[datetime], lines: Sequence[Line], show: Format
) -> ChartGroup:
    """The lines, which have a value for each of the moments, at one scale."""
    known = [value for line in lines for value in line.values if value is not None]
    top = max(known, default=0.0)
    times = _times(moments)
    shown = [[_shown(value, show) for value in line.values] for line in lines]
    return ChartGroup(
        title=title,
        began=times[0],
        ended=times[-1],
        charts=tuple(_chart(line, times, top, show) for line in lines),
        rows=tuple(reversed(list(zip(times, zip(*shown, strict=True), strict=True)))),
    )


def _times(moments: Sequence[datetime]) -> list[str]:
    """In UTC: hour and minute, with the day where they are of several."""
    utc = [moment.astimezone(UTC) for moment in moments]
    is_one_day = utc[0].date() == utc[-1].date()
    return [date_format(each, "H:i" if is_one_day else "d M H:i") for each in utc]


def _shown(value: float | None, show: Format) -> str:
    return NOTHING if value is None else show(value)


def _chart(line: Line, times: Sequence[str], top: float, show: Format) -> Chart:
    step = WIDTH / len(times)
    known = [value for value in line.values if value is not None]
    bars = tuple(
        Bar(x=round(step * place, 2), width=round(step, 2), text=f"{time} UTC: {value}")
        for place, (time, value) in enumerate(
            zip(times, (_shown(each, show) for each in line.values), strict=True)
        )
    )
    return Chart(
        title=line.title,
        tone=line.tone,
        path=bar_path(line.values, top, WIDTH, HEIGHT),
        bars=bars,
        latest=_shown(line.values[-1], show),
        highest=_shown(max(known, default=None), show),
        scale=show(top) if known else NOTHING,
    )


def bar_path(
    values: Sequence[float | None], top: float, width: float, height: float
) -> str:
    """The bars of these values as the data of one SVG path; "" where all are 0."""
    step = width / max(1, len(values))
    return "".join(
        _bar(step * place, step * (1 - GAP_SHARE), value / top * height, height)
        for place, value in enumerate(values)
        if value and top
    )


def _bar(x: float, width: float, tall: float, height: float) -> str:
    tall = max(tall, MIN_BAR)
    return f"M{x:.1f} {height}v-{tall:.1f}h{width:.1f}v{tall:.1f}z"


def rate(value: float) -> str:
    """`0`, `0.05/s`, `12.3/s`, `1,234/s`."""
    if value == 0:
        return "0/s"
    digits = 0 if value >= 100 else 1 if value >= 1 else 2
    if value < 0.01:
        return f"< {grouped(0.01)}/s"
    return f"{grouped(value, digits=digits)}/s"


def latency(value: float) -> str:
    """`12 ms`, `1.4 s`, `4 min 10 s`."""
    if value < 1:
        return gettext("%(count)s ms") % {"count": grouped(value * 1000, digits=0)}
    if value >= 60:
        return span(value)
    return gettext("%(count)s s") % {"count": grouped(value, digits=1)}


def count(value: float) -> str:
    return grouped(value, digits=0)


def age(value: float) -> str:
    return span(value)


def throughput_charts(buckets: Sequence[Bucket], *, of_one: bool) -> ChartGroup:
    """Rates; one subscriber publishes nothing."""
    published = Line(
        title=gettext("Published"),
        values=[each.per_second(each.published) for each in buckets],
    )
    lines = [
        Line(
            title=gettext("Acknowledged"),
            values=[each.per_second(each.acknowledged) for each in buckets],
            tone="ok",
        ),
        Line(
            title=gettext("Failed attempts"),
            values=[each.per_second(each.failed) for each in buckets],
            tone="attention",
        ),
    ]
    lines = lines if of_one else [published, *lines]
    return chart_group(gettext("Events per second"), _moments(buckets), lines, rate)


def latency_charts(buckets: Sequence[Bucket]) -> ChartGroup:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    lines = [
        Line(title=title, values=[percentile(each.waits, share) for each in buckets])
        for title, share in shares.items()
    ]
    title = gettext("Latency, from recording to acknowledgement (estimated)")
    return chart_group(title, _moments(buckets), lines, latency)


def backlog_charts(buckets: Sequence[Bucket]) -> Iterator[ChartGroup]:
    """Events owed, and how long the oldest has waited: two scales."""
    lines = [
        Line(
            title=gettext("Moving"),
            values=[_sampled(each, "moving") for each in buckets],
        ),
        Line(
            title=gettext("Waiting for a retry"),
            values=[_sampled(each, "waiting") for each in buckets],
            tone="retry",
        ),
        Line(
            title=gettext("Held"),
            values=[_sampled(each, "held") for each in buckets],
            tone="attention",
        ),
    ]
    yield chart_group(gettext("Backlog"), _moments(buckets), lines, count)
    oldest = Line(
        title=gettext("Oldest"), values=[each.oldest_seconds for each in buckets]
    )
    yield chart_group(
        gettext("Age of the oldest event"), _moments(buckets), [oldest], age
    )


def _sampled(bucket: Bucket, label: str) -> float | None:
    return float(bucket.backlog.get(label, 0)) if bucket.backlog else None


def _moments(buckets: Sequence[Bucket]) -> list[datetime]:
    return [each.began_at for each in buckets]


def all_charts(buckets: Sequence[Bucket], *, of_one: bool = False) -> list[ChartGroup]:
    """Every group of charts that a page shows."""
    return [
        throughput_charts(buckets, of_one=of_one),
        latency_charts(buckets),
        *backlog_charts(buckets),
    ]


def chosen_window(request: HttpRequest, *, default: Window) -> Window:
    """What the address asks for; `default` if it asks for nothing that there is."""
    try:
        return Window(request.GET.get("window", default))
    except ValueError:
        return default
