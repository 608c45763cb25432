"""The metrics of the router for Prometheus, read from the database at each scrape.

No process keeps a counter: every web process gives the same answer, and a restart
resets none. Labels carry names of subscribers, bridges and event types, and never ids,
addresses or data of customers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from router.conf import conf
from router.flow.rollup import ABOVE, BOUNDS, LABELS
from router.models import (
    AttemptResult,
    BreakerState,
    Clock,
    Heartbeat,
    LogHead,
    Measure,
    Run,
)
from router.models.gap import BEFORE_IMPORTS, distance
from router.observe.overview import (
    SubscriberOverview,
    subscribers_overview,
    unrouted_count,
)
from router.observe.rollups import Times, Totals, cumulated, totals

BREAKER_VALUES = {
    BreakerState.CLOSED: 0,
    BreakerState.DRAINING: 1,
    BreakerState.OPEN: 2,
}
#: As Prometheus writes them.
SHOWN_BOUNDS = (*(str(float(bound)) for bound in BOUNDS), ABOVE)


def exposition(accept: str) -> tuple[bytes, str]:
    """The metrics and their content type, in the format that `accept` asks for."""
    registry = CollectorRegistry()
    registry.register(RouterCollector())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


@dataclass(frozen=True, kw_only=True)
class Scrape:
    """Everything that is read for one scrape."""

    now: datetime
    head: int
    imported: int
    unrouted: int
    overviews: list[SubscriberOverview]
    totals: Totals
    beats: list[Heartbeat]
    #: Those that are not over, with their positions.
    runs: list[Any]

    @classmethod
    def read(cls) -> Scrape:
        """Ten statements, and one more while a cursor is below the head."""
        row = LogHead.objects.values_list("position", "imported", Clock()).first()
        head, imported, now = row or (0, BEFORE_IMPORTS, timezone.now())
        return cls(
            now=now,
            head=head,
            imported=imported,
            unrouted=unrouted_count(),
            overviews=subscribers_overview(),
            totals=totals(),
            beats=list(Heartbeat.objects.order_by("-beat_at")),
            runs=list(Run.objects.open().with_position().order_by("pk")),
        )


class RouterCollector(Collector):
    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry would scrape to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        scrape = Scrape.read()
        yield from _log(scrape)
        yield from _backlogs(scrape)
        yield from _attempts(scrape)
        yield from _states(scrape)
        yield from _processes(scrape)


def _log(scrape: Scrape) -> Iterator[Metric]:
    events = CounterMetricFamily(
        "fanfare_events_total", "Events that were routed.", labels=["type"]
    )
    for event_type, count in sorted(scrape.totals.events.items()):
        events.add_metric([event_type], count)
    yield events
    yield GaugeMetricFamily(
        "fanfare_log_head", "The last position of the log.", value=scrape.head
    )
    yield GaugeMetricFamily(
        "fanfare_unrouted_events",
        "Events that wait for a dispatcher; 10000 means that many or more.",
        value=scrape.unrouted,
    )


def _backlogs(scrape: Scrape) -> Iterator[Metric]:
    backlog = GaugeMetricFamily(
        "fanfare_backlog_events",
        "Events that are owed: moving (due or at work), waiting (for the time of "
        "their next attempt), held (by breaker, pause, missing code or order).",
        labels=["subscriber", "state"],
    )
    oldest = GaugeMetricFamily(
        "fanfare_oldest_owed_seconds",
        "Age of the oldest event that is owed; 0 where none is.",
        labels=["subscriber"],
    )
    for each in scrape.overviews:
        name, counts = each.subscriber.name, each.backlog
        for state in ("moving", "waiting", "held"):
            backlog.add_metric([name, state], getattr(counts, state))
        owed_at = each.oldest_owed_at or scrape.now
        oldest.add_metric([name], _seconds_since(owed_at, scrape.now))
    yield from (backlog, oldest)


def _attempts(scrape: Scrape) -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "fanfare_attempts_total",
        "Attempts that ended.",
        labels=["subscriber", "outcome"],
    )
    acknowledged = HistogramMetricFamily(
        "fanfare_publish_to_ack_seconds",
        "From an event's recording to its acknowledgement, without replays; of each "
        "event of a chunk, that of its oldest event.",
        labels=["subscriber"],
    )
    runs = HistogramMetricFamily(
        "fanfare_handler_seconds",
        "Duration of an attempt; of each event of a chunk, the mean.",
        labels=["subscriber"],
    )
    of_times = scrape.totals.times
    for each in scrape.overviews:
        name, pk = each.subscriber.name, each.subscriber.pk
        counted = scrape.totals.attempts.get(pk, {})
        for result in AttemptResult:
            outcome = result.lower()
            attempts.add_metric([name, outcome], counted.get(outcome, 0))
        _add_times(acknowledged, name, of_times[Measure.PUBLISH_TO_ACK].get(pk))
        _add_times(runs, name, of_times[Measure.RUN_TIME].get(pk))
    yield from (attempts, acknowledged, runs)


def _add_times(family: HistogramMetricFamily, name: str, times: Times | None) -> None:
    times = times or Times()
    counts = cumulated(times.counts, LABELS)
    buckets = list(zip(SHOWN_BOUNDS, map(float, counts), strict=True))
    family.add_metric([name], buckets, times.seconds)


def _states(scrape: Scrape) -> Iterator[Metric]:
    breaker = GaugeMetricFamily(
        "fanfare_breaker_state",
        "0: closed, 1: draining after an outage, 2: open.",
        labels=["subscriber"],
    )
    failed = GaugeMetricFamily(
        "fanfare_failed_tasks_open",
        "Failed tasks that need attention.",
        labels=["subscriber"],
    )
    for each in scrape.overviews:
        name = each.subscriber.name
        state = BreakerState(each.subscriber.breaker)
        breaker.add_metric([name], BREAKER_VALUES[state])
        failed.add_metric([name], each.open_failed)
    yield from (breaker, failed, _runs(scrape))


def _runs(scrape: Scrape) -> Metric:
    runs = GaugeMetricFamily(
        "fanfare_run_remaining_events",
        "Events of the log that a backfill or a replay has before it, of whatever "
        "types; no sample where it is over.",
        labels=["subscriber", "run"],
    )
    names = {each.subscriber.pk: each.subscriber.name for each in scrape.overviews}
    for run in scrape.runs:
        if run.subscriber_id in names:
            labels = [names[run.subscriber_id], str(run.number)]
            ahead = distance(run.position, run.end, imported=scrape.imported)
            runs.add_metric(labels, ahead)
    return runs


def _processes(scrape: Scrape) -> Iterator[Metric]:
    ages = GaugeMetricFamily(
        "fanfare_heartbeat_age_seconds",
        "Age of the latest heartbeat of each kind of process; no sample where all have "
        "stopped by themselves.",
        labels=["kind"],
    )
    latest = {beat.kind: beat.beat_at for beat in reversed(scrape.beats)}
    for kind, beat_at in sorted(latest.items()):
        ages.add_metric([kind], _seconds_since(beat_at, scrape.now))
    lag = GaugeMetricFamily(
        "fanfare_bridge_lag",
        "Messages that wait for a bridge in the router that it takes from, where that "
        "router tells.",
        labels=["bridge"],
    )
    for name, waiting in sorted(_lags(scrape).items()):
        lag.add_metric([name], waiting)
    yield from (lag, ages)


def _lags(scrape: Scrape) -> dict[str, int]:
    """What the processes of each bridge saw, of those that live."""
    stale_after = timedelta(seconds=conf().stale_after_seconds)
    lags: dict[str, int] = {}
    for beat in scrape.beats:
        name, waiting = beat.details.get("bridge"), beat.details.get("waiting")
        if name and waiting is not None and beat.beat_at > scrape.now - stale_after:
            lags[name] = max(waiting, lags.get(name, 0))
    return lags


def _seconds_since(moment: datetime, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
