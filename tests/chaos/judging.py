"""Makes the row of a cell from what it left behind: the verdict and the figures."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.chaos.checker import (
    THE_ORDER,
    History,
    Outcome,
    Pair,
    Rules,
    Verdict,
    check,
)
from tests.chaos.cursors import CursorState, broken_rules
from tests.chaos.figures import (
    changed_ids,
    latencies,
    longest_stall,
    percentile,
    reposted_percent,
)
from tests.chaos.history import (
    Checkout,
    Effect,
    effects_of,
    read_checkouts,
    read_outside,
    read_sent,
)
from tests.chaos.running import Run, own_windows
from tests.chaos.subscribers import (
    AT_LEAST_ONCE,
    BUS,
    IN_PROCESS,
    MIXED,
    PICKY,
    SUBSCRIBERS,
    is_poison,
)

#: Pairs of each class that are kept as evidence.
MAX_EVIDENCE = 20


def judge(run: Run) -> dict[str, Any]:
    checkouts = read_checkouts(run.folder)
    effects = [*effects_of(run.collected["effects"]), *read_outside(run.folder)]
    verdict = _verdict(run, checkouts, effects)
    broken = broken_rules(map(CursorState.of, run.collected.get("cursors", ())))
    is_sound = not (broken or _gaps(run) or changed_ids(effects))
    return {
        "name": run.cell.name,
        **_counts(run, checkouts, effects),
        **_classes(verdict),
        **_times(run, checkouts, effects),
        "is_clean": verdict.is_clean and is_sound,
        "gaps": _gaps(run),
        "broken_rules": len(broken),
        "reposted_percent": round(reposted_percent(effects), 2),
        "changed_ids": len(changed_ids(effects)),
        "seconds": round(run.seconds, 1),
        "fault_names": [each.fault.name for each in run.injected if each.did_happen],
        "evidence": {**_evidence(verdict), "broken_rules": broken[:MAX_EVIDENCE]},
    }


def _verdict(run: Run, checkouts: list[Checkout], effects: list[Effect]) -> Verdict:
    cursed = {checkout.order for checkout in checkouts if checkout.is_cursed}

    def is_refused(pair: Pair) -> bool:
        order, name = pair
        return (name == PICKY and order in cursed) or (
            name == MIXED and is_poison(order)
        )

    orders = [*checkouts, *read_sent(run.folder)]
    arrived = [(order, BUS) for order in run.collected.get(BUS, ())]
    waiting = [(order, THE_ORDER) for order in run.collected.get("not_taken", ())]
    done = [(effect.order, effect.subscriber) for effect in effects]
    history = History(
        outcomes={order.order: order.outcome for order in orders},
        recorded=frozenset(run.collected["orders"]),
        effects=Counter([*done, *arrived]),
        open=_pairs(run.collected["open"]) | frozenset(waiting),
        failed_tasks=Counter(map(tuple, run.collected["failed"])),
    )
    rules = Rules(
        subscribers=IN_PROCESS if run.cell.is_naive else SUBSCRIBERS,
        at_least_once=AT_LEAST_ONCE,
        is_refused=is_refused,
    )
    return check(history, rules)


def _pairs(rows: list[list[str]]) -> frozenset[Pair]:
    return frozenset((order, name) for order, name in rows)


def _gaps(run: Run) -> int:
    """Positions that are missing or given twice."""
    positions = run.collected["positions"]
    return len(set(range(1, len(positions) + 1)) ^ set(positions))


def _counts(
    run: Run, checkouts: list[Checkout], effects: list[Effect]
) -> dict[str, int]:
    outcomes = Counter(checkout.outcome for checkout in checkouts)
    return {
        "checkouts": len(checkouts),
        **{outcome.value: outcomes[outcome] for outcome in Outcome},
        "events": run.collected["events"] or len(run.collected["orders"]),
        "deliveries": run.collected["deliveries"],
        "faults": sum(each.did_happen for each in run.injected),
        "effects": len(effects),
        "arrived": len(run.collected.get(BUS, ())),
        "sent": sum(order.outcome is Outcome.OK for order in read_sent(run.folder)),
    }


def _classes(verdict: Verdict) -> dict[str, int]:
    names = ("lost", "doubled", "ghost", "stuck", "recovered", "repeated", "given_up")
    return {
        **{name: len(getattr(verdict, name)) for name in names},
        "failed_tasks": verdict.failed_tasks,
        "failed_tasks_expected": verdict.failed_tasks_expected,
    }


def _times(
    run: Run, checkouts: list[Checkout], effects: list[Effect]
) -> dict[str, float]:
    taken = latencies(checkouts, own_windows(run.injected))
    everyone = latencies(checkouts)
    return {
        "longest_stall_s": round(longest_stall(checkouts, effects), 2),
        "checkout_p99_ms": round(percentile(taken, 0.99), 1),
        "checkout_max_ms": round(max(taken, default=0.0), 1),
        "checkout_max_ms_with_own_faults": round(max(everyone, default=0.0), 1),
    }


def _evidence(verdict: Verdict) -> dict[str, list[Pair]]:
    names = ("lost", "doubled", "ghost", "stuck", "given_up")
    return {name: list(getattr(verdict, name))[:MAX_EVIDENCE] for name in names}
