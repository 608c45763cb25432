"""Each model holds, and each rule that is taken away from it is missed."""

from __future__ import annotations

import pytest

from tests.models import (
    backfill,
    breaker,
    claiming,
    held_keys,
    low_water,
    periods,
    prune,
    reading,
    set_aside,
    settling,
    suspects,
    wake_ups,
    window,
)
from tests.models.model import Model, counterexample, search

MODELS = {
    "low-water mark": low_water.MODEL,
    "wake-ups": wake_ups.MODEL,
    "claiming": claiming.MODEL,
    "settling": settling.MODEL,
    "set aside": set_aside.MODEL,
    "suspects": suspects.MODEL,
    "window": window.MODEL,
    "periods": periods.MODEL,
    "backfill": backfill.MODEL,
    "prune": prune.MODEL,
    "reading": reading.MODEL,
    "breaker": breaker.MODEL,
    "held keys, a dead row holds": held_keys.HOLD,
    "held keys, a dead row is skipped": held_keys.SKIP,
}
RULES = [(name, rule) for name, model in MODELS.items() for rule in model.planted]


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_no_order_of_steps_breaks_the_protocol(model: Model) -> None:
    result = search(model)

    assert not result.broken, "\n\n".join(result.broken.values())
    assert result.state_count >= model.min_states


@pytest.mark.parametrize(("name", "rule"), RULES)
def test_without_a_rule_the_search_finds_what_goes_wrong(name: str, rule: str) -> None:
    assert counterexample(MODELS[name], without=rule)
