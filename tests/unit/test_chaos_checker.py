"""The checker finds what is planted; one that finds nothing would prove nothing."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.checker import THE_ORDER, History, Outcome, Rules, check

RULES = Rules(
    subscribers=("ledger", "post"),
    at_least_once={"post"},
    is_refused=lambda pair: pair == ("cursed", "ledger"),
)
CLEAN = History(
    outcomes={
        "bought": Outcome.OK,
        "cursed": Outcome.OK,
        "declined": Outcome.FAILED,
        "cut off": Outcome.UNKNOWN,
        "cut off early": Outcome.UNKNOWN,
    },
    recorded={"bought", "cursed", "cut off"},
    effects={
        ("bought", "ledger"): 1,
        ("bought", "post"): 1,
        ("cursed", "post"): 1,
        ("cut off", "ledger"): 1,
        ("cut off", "post"): 1,
    },
    failed_tasks={("cursed", "ledger"): 1},
)


def without(order: str, name: str) -> dict[tuple[str, str], int]:
    return {pair: n for pair, n in CLEAN.effects.items() if pair != (order, name)}


def with_count(order: str, name: str, count: int) -> dict[tuple[str, str], int]:
    return {**CLEAN.effects, (order, name): count}


def test_a_clean_history_is_clean() -> None:
    verdict = check(CLEAN, RULES)
    assert verdict.is_clean
    assert set(verdict.recovered) == {("cut off", "ledger"), ("cut off", "post")}
    assert (verdict.failed_tasks, verdict.failed_tasks_expected) == (1, 1)


def test_an_effect_that_is_missing_is_lost() -> None:
    verdict = check(replace(CLEAN, effects=without("bought", "ledger")), RULES)
    assert verdict.lost == [("bought", "ledger")]
    assert not verdict.is_clean


def test_an_unknown_order_that_is_in_the_database_is_owed_its_effects() -> None:
    verdict = check(replace(CLEAN, effects=without("cut off", "post")), RULES)
    assert verdict.lost == [("cut off", "post")]


def test_an_order_that_was_confirmed_and_is_not_there_is_lost() -> None:
    verdict = check(replace(CLEAN, recorded=CLEAN.recorded - {"bought"}), RULES)
    assert verdict.lost == [("bought", THE_ORDER)]


def test_a_second_effect_is_doubled() -> None:
    verdict = check(replace(CLEAN, effects=with_count("bought", "ledger", 2)), RULES)
    assert verdict.doubled == [("bought", "ledger")]
    assert not verdict.is_clean


def test_a_second_effect_of_one_that_may_repeat_is_reported_apart() -> None:
    verdict = check(replace(CLEAN, effects=with_count("bought", "post", 3)), RULES)
    assert verdict.repeated == [("bought", "post")]
    assert verdict.is_clean


def test_an_effect_of_a_failed_checkout_is_a_ghost() -> None:
    verdict = check(replace(CLEAN, effects=with_count("declined", "post", 1)), RULES)
    assert verdict.ghost == [("declined", "post")]
    assert not verdict.is_clean


def test_an_effect_of_an_order_that_nobody_placed_is_a_ghost() -> None:
    verdict = check(replace(CLEAN, effects=with_count("unheard of", "post", 1)), RULES)
    assert verdict.ghost == [("unheard of", "post")]


def test_an_effect_of_an_unknown_order_that_was_rolled_back_is_a_ghost() -> None:
    effects = with_count("cut off early", "ledger", 1)
    verdict = check(replace(CLEAN, effects=effects), RULES)
    assert verdict.ghost == [("cut off early", "ledger")]


def test_an_effect_of_what_can_only_fail_is_a_ghost() -> None:
    verdict = check(replace(CLEAN, effects=with_count("cursed", "ledger", 1)), RULES)
    assert verdict.ghost == [("cursed", "ledger")]


def test_an_order_that_was_refused_and_is_there_is_a_ghost() -> None:
    verdict = check(replace(CLEAN, recorded=CLEAN.recorded | {"declined"}), RULES)
    assert verdict.ghost == [("declined", THE_ORDER)]


def test_what_is_open_at_the_end_is_stuck_and_not_lost() -> None:
    history = replace(
        CLEAN, effects=without("bought", "post"), open={("bought", "post")}
    )
    verdict = check(history, RULES)
    assert (verdict.stuck, verdict.lost) == ([("bought", "post")], [])
    assert not verdict.is_clean


def test_an_order_that_waits_outside_the_database_is_stuck_and_not_lost() -> None:
    history = replace(
        CLEAN,
        outcomes={**CLEAN.outcomes, "sent": Outcome.OK},
        open={("sent", THE_ORDER)},
    )
    verdict = check(history, RULES)
    assert verdict.stuck == [("sent", THE_ORDER)]
    assert not any(
        order == "sent" and name == THE_ORDER for order, name in verdict.lost
    )
    assert not verdict.is_clean


def test_a_failed_task_that_is_open_still_is_stuck() -> None:
    history = replace(CLEAN, failed_tasks={}, open={("cursed", "ledger")})
    verdict = check(history, RULES)
    assert verdict.stuck == [("cursed", "ledger")]


def test_a_failed_task_too_few_is_not_clean() -> None:
    verdict = check(replace(CLEAN, failed_tasks={}), RULES)
    assert (verdict.failed_tasks, verdict.failed_tasks_expected) == (0, 1)
    assert not verdict.is_clean


def test_giving_up_without_need_is_not_clean() -> None:
    history = replace(
        CLEAN,
        effects=without("bought", "post"),
        failed_tasks={("bought", "post"): 1},
    )
    verdict = check(history, RULES)
    assert (verdict.given_up, verdict.lost) == ([("bought", "post")], [])
    assert not verdict.is_clean
