"""From publishing to the start of a handler, at a steady pace: bursts would hide a
wait that grows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks import results
from benchmarks.arithmetic import halves, medians, percentile, ratio
from benchmarks.bench import Bench
from benchmarks.contenders import BARE, BY_HAND, FANFARE, NAIVE, Contender, Setup
from benchmarks.measuring import DONE_SECONDS, live
from benchmarks.run import running

EVENTS_PER_S = 20.0
PACES = {"20/s": None, "quarter": 0.25, "half": 0.5}
#: One publisher can publish so many a second.
PUBLISHER_PER_S = 150.0
WARM_UP_SECONDS = 1.0
ORDER: tuple[Contender, ...] = (BARE, BY_HAND, NAIVE, FANFARE)

Figures = dict[str, float | None]


def latency_ms(bench: Bench, paces: Sequence[str] = tuple(PACES)) -> dict[str, Any]:
    rounds_of: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    titles = {
        (pace, contender): f"{contender.title} at {pace}"
        for pace in paces
        for contender in ORDER
    }
    for pace, contender in bench.in_turn(titles):
        figures = _one_round(bench, contender, pace)
        rounds_of[pace, contender.name].append(figures)
    medians_of = {key: medians(rounds) for key, rounds in rounds_of.items()}
    return {
        "latency_ms": [
            {
                "at": pace,
                "name": name,
                **own,
                **ratios_to(medians_of[pace, BARE.name], own),
            }
            for (pace, name), own in medians_of.items()
        ]
    }


def _one_round(bench: Bench, contender: Contender, pace: str) -> Figures:
    setup = Setup(is_timed=True, prefetch=1)
    rate = _rate(bench, contender, pace)
    with running(bench, contender, setup) as run:
        run.start()
        run.wait_for_dispatcher()
        publishers = 1 if rate <= PUBLISHER_PER_S else 2
        published = run.play(
            "paced",
            publishers=publishers,
            rate=rate,
            seconds=bench.sizes.paced_seconds,
        )
        events = sum(publisher["count"] for publisher in published)
        run.wait_done(events * setup.subscribers, seconds=DONE_SECONDS)
        late_ms = max(publisher["late_ms"] for publisher in published)
        return {"events_per_s": rate, "late_ms": late_ms, **_figures(run.waits())}


def _rate(bench: Bench, contender: Contender, pace: str) -> float:
    """Events a second; a share of what this contender can do at most."""
    share = PACES[pace]
    if share is None:
        return EVENTS_PER_S
    key = (contender.name, f"{Setup().name}-live")
    if key not in bench.capacity:
        bench.log(f"how much {contender.title} can do at most")
        bench.capacity[key] = live(bench, contender, Setup(prefetch=1)).per_s
    return bench.capacity[key] / Setup().subscribers * share


def _figures(waits: Sequence[results.Wait]) -> Figures:
    begin = waits[0].published_ns + WARM_UP_SECONDS * 1e9 if waits else 0
    ms = [wait.ms for wait in waits if wait.published_ns >= begin]
    earlier, later = halves(ms)
    return {
        "p50": percentile(ms, 0.5),
        "p99": percentile(ms, 0.99),
        "p50_earlier_half": percentile(earlier, 0.5),
        "p50_later_half": percentile(later, 0.5),
    }


def ratios_to(bare: Figures, own: Figures) -> Figures:
    """To bare Celery's, at the same pace: none where each has its own."""
    is_same = own["events_per_s"] == bare["events_per_s"]
    return {
        f"{name}_ratio_to_bare_celery": ratio(own[name], bare[name])
        if is_same
        else None
        for name in ("p50", "p99")
    }
