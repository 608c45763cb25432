"""What happened over time, from the rollups; and the backlog that is sampled."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from router.charts import all_charts
from router.flow.loop import DispatcherLoop
from router.models import Measure, Rollup, Span, SubscriberState, Transport
from router.observe.backlog_samples import BacklogSamples, sample_backlog
from router.observe.series import Window, acknowledged_by_minute, series, success_rate
from tests.contract.letterbox import Letterbox
from tests.integration.rows import a_delivery, a_subscriber, an_event
from tests.integration.staff import a_viewer

pytestmark = pytest.mark.usefixtures("empty_router")

NOW = datetime(2026, 3, 1, 10, 30, 20, tzinfo=UTC)


def counted(
    measure: Measure, label: str, count: int, *, at: datetime, **fields: Any
) -> None:
    """So many in the minute of this time, and in its hour."""
    minute = at.replace(second=0, microsecond=0)
    began = {Span.MINUTE: minute, Span.HOUR: minute.replace(minute=0)}
    for span, began_at in began.items():
        columns = {"span": span, "began_at": began_at, "measure": measure}
        row, _ = Rollup.objects.get_or_create(
            **columns, label=label, **fields, defaults={"count": 0}
        )
        row.count += count
        row.save()


def test_an_hour_has_whole_minutes_as_rates() -> None:
    counted(Measure.EVENTS, "a", 60, at=NOW - timedelta(minutes=1))
    counted(Measure.EVENTS, "b", 30, at=NOW - timedelta(minutes=1))
    # Of the minute that is not over, and of one that is too old.
    counted(Measure.EVENTS, "a", 7, at=NOW)
    counted(Measure.EVENTS, "a", 7, at=NOW - timedelta(minutes=61))
    buckets = series(Window.HOUR, now=NOW)
    assert len(buckets) == 60
    assert buckets[-1].per_second(buckets[-1].published) == 1.5
    assert sum(each.published for each in buckets) == 90


def test_a_day_ends_with_the_hour_that_is_not_over() -> None:
    counted(Measure.EVENTS, "a", 1820, at=NOW)
    buckets = series(Window.DAY, now=NOW)
    assert len(buckets) == 24
    # 30 minutes and 20 seconds of it have passed.
    assert buckets[-1].per_second(buckets[-1].published) == 1.0


def test_attempts_of_one_subscriber_are_its_own() -> None:
    at = NOW - timedelta(minutes=2)
    for pk, failed in ((1, 1), (2, 5)):
        counted(Measure.ATTEMPTS, "acknowledged", 3, at=at, subscriber_id=pk)
        counted(Measure.ATTEMPTS, "uncounted", failed, at=at, subscriber_id=pk)
    buckets = series(Window.HOUR, now=NOW, subscriber_id=1)
    assert (buckets[-2].acknowledged, buckets[-2].failed) == (3, 1)
    assert success_rate(buckets) == 0.75
    assert success_rate(series(Window.HOUR, now=NOW, subscriber_id=3)) is None
    assert acknowledged_by_minute(NOW)[2][-2:] == [3, 0]


def test_the_backlog_is_sampled_with_what_holds_it() -> None:
    now = timezone.now()
    rests = a_subscriber("rests", transport=Transport.PULL)
    a_delivery(an_event(), rests, created_at=now - timedelta(minutes=5))
    sample_backlog()
    type(rests).objects.update(state=SubscriberState.PAUSED)
    # The later sample of the same minute replaces the first.
    sample_backlog()
    of_hour = Rollup.objects.filter(measure=Measure.BACKLOG, span=Span.HOUR)
    newest = of_hour.order_by("-began_at", "label")[:3]
    assert {row.label: row.count for row in newest} == {
        "held": 1,
        "moving": 0,
        "waiting": 0,
    }
    assert 299 < newest[0].seconds < 360


def test_a_dispatcher_samples_once_a_minute() -> None:
    a_subscriber("erp", transport=Transport.PULL)
    samples = BacklogSamples()
    loop = DispatcherLoop(Letterbox(), beside=samples.turn)  # type: ignore[arg-type]  # all that it uses
    loop.tick()
    assert Rollup.objects.filter(measure=Measure.BACKLOG).count() == 6
    Rollup.objects.all().delete()
    samples._look = int(time.time() // 60)
    loop.tick()
    assert not Rollup.objects.filter(measure=Measure.BACKLOG).exists()


def test_what_is_not_known_is_no_zero() -> None:
    counted(Measure.EVENTS, "a", 60, at=NOW - timedelta(minutes=1))
    rates, latency, backlog, oldest = all_charts(series(Window.HOUR, now=NOW))
    assert rates.charts[0].latest == "1.0/s"
    assert rates.charts[0].scale == rates.charts[2].scale == "1.0/s"
    assert rates.charts[0].bars[-1].text == "10:29 UTC: 1.0/s"
    assert rates.rows[0] == ("10:29", ("1.0/s", "0/s", "0/s"))
    assert {chart.latest for chart in latency.charts + backlog.charts} == {"–"}
    assert oldest.is_empty


@pytest.mark.parametrize("window", ["hour", "week", "nonsense"])
def test_the_dashboard_shows_the_charts_of_a_window(window: str) -> None:
    counted(Measure.EVENTS, "a", 90, at=timezone.now() - timedelta(seconds=71))
    answer = a_viewer().get("/admin/", {"window": window})
    page = answer.content.decode()
    chosen = "hour" if window == "nonsense" else window
    assert f'<a href="?window={chosen}" aria-current="true">' in page
    assert 'aria-label="Published: now ' in page
    assert page.count("<h3>") == 4
