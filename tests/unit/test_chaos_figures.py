"""The figures and the plan of `make chaos`."""

from __future__ import annotations

from tests.chaos.cells import CELLS, NAIVE, QUICK
from tests.chaos.checker import Outcome
from tests.chaos.figures import Window, latencies, longest_stall, percentile
from tests.chaos.history import Checkout, Effect
from tests.chaos.plan import ALL, Hits, plan


def checkout(
    order: str, *, at: float = 100, ms: float = 10, outcome: Outcome = Outcome.OK
) -> Checkout:
    return Checkout(
        order=order,
        is_cursed=False,
        began_at=at - ms / 1000,
        outcome=outcome,
        ended_at=at,
        took_ms=ms,
    )


def test_only_confirmed_checkouts_have_a_latency() -> None:
    refused = checkout("b", ms=900, outcome=Outcome.FAILED)
    assert latencies([checkout("a", ms=10), refused]) == [10]


def test_a_checkout_that_met_its_own_fault_is_left_out() -> None:
    outage = Window(began_at=99, ended_at=101)
    hit, well = checkout("a", at=100, ms=900), checkout("b", at=200, ms=20)
    assert latencies([hit, well]) == [20, 900]
    assert latencies([hit, well], [outage]) == [20]


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 100
    assert percentile([], 0.99) == 0


def test_a_stall_ends_with_the_first_effect_of_each_subscriber() -> None:
    effects = [
        Effect(order="a", subscriber="ledger", at=101),
        Effect(order="a", subscriber="post", at=107),
        Effect(order="a", subscriber="post", at=150),
    ]
    assert longest_stall([checkout("a", at=100)], effects) == 7


def test_the_plan_is_a_matter_of_the_seed_alone() -> None:
    cell = CELLS[QUICK]
    first, second, other = (plan(cell, seed=n, is_quick=False) for n in (1, 1, 2))
    assert first == second != other
    assert len(first) == len(ALL) - 1  # SQLite's own lock is not PostgreSQL's


def test_plain_celery_meets_the_same_faults_in_the_same_order() -> None:
    ours = plan(CELLS[QUICK], seed=1, is_quick=False)
    theirs = plan(NAIVE[QUICK], seed=1, is_quick=False)
    alone = (
        Hits.DISPATCHER,
        Hits.WEB,
        Hits.PULLER,
        Hits.BRIDGE,
        Hits.FOREIGN_ROUTER,
    )
    assert theirs == [fault for fault in ours if fault.hits not in alone]


def test_no_cell_lacks_a_kind_of_fault() -> None:
    for cell in CELLS.values():
        hits = {fault.hits for fault in plan(cell, seed=1, is_quick=False)}
        assert hits == set(Hits)
