"""From publishing to the start of a handler, at a steady pace: bursts would hide what
piles up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks import results
from benchmarks.arithmetic import halves, median, percentile, ratio, rounded
from benchmarks.bench import Bench
from benchmarks.contenders import BARE, BY_HAND, FANFARE, NAIVE, Contestant, Setup
from benchmarks.measuring import DONE_SECONDS, live
from benchmarks.run import on_stage

EVENTS_PER_S = 20.0
PACES = {"20/s": None, "quarter": 0.25, "half": 0.5}
#: One publisher keeps so many a second.
PUBLISHER_PER_S = 150.0
WARM_UP_SECONDS = 1.0
ORDER: tuple[Contestant, ...] = (BARE, BY_HAND, NAIVE, FANFARE)

Figures = dict[str, float | None]


def latency_ms(bench: Bench, paces: Sequence[str] = tuple(PACES)) -> dict[str, Any]:
    found: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    for number in range(bench.sizes.rounds):
        for pace in paces:
            for one in ORDER:
                bench.tell(f"round {number + 1}: {one.title} at {pace}")
                found[pace, one.name].append(_one_round(bench, one, pace))
    medians = {key: _medians(rounds) for key, rounds in found.items()}
    return {
        "latency_ms": [
            {
                "at": pace,
                "name": name,
                **own,
                **ratios_to(medians[pace, BARE.name], own),
            }
            for (pace, name), own in medians.items()
        ]
    }


def _one_round(bench: Bench, one: Contestant, pace: str) -> Figures:
    setup = Setup(is_timed=True, prefetch=1)
    rate = _rate(bench, one, pace)
    with on_stage(bench, one, setup) as stage:
        stage.start()
        stage.wait_for_dispatchers()
        publishers = 1 if rate <= PUBLISHER_PER_S else 2
        told_ = stage.act(
            "paced",
            publishers=publishers,
            rate=rate,
            seconds=bench.sizes.paced_seconds,
        )
        events = sum(publisher["count"] for publisher in told_)
        stage.wait_done(events * setup.subscribers, seconds=DONE_SECONDS)
        late_ms = max(publisher["late_ms"] for publisher in told_)
        return {"events_per_s": rate, "late_ms": late_ms, **_figures(stage.waits())}


def _rate(bench: Bench, one: Contestant, pace: str) -> float:
    """Events a second; a share of what this contestant can do at most."""
    share = PACES[pace]
    if share is None:
        return EVENTS_PER_S
    key = (one.name, f"{Setup().name}-live")
    if key not in bench.capacity:
        bench.tell(f"how much {one.title} can do at most")
        bench.capacity[key] = live(bench, one, Setup(prefetch=1)).per_s
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


def _medians(rounds: Sequence[Figures]) -> Figures:
    return {
        name: rounded(
            median([value for one in rounds if (value := one[name]) is not None])
        )
        for name in rounds[0]
    }
