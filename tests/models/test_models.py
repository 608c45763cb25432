"""Each model holds, and each rule that is taken away from it is missed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.models import (
    acknowledgements,
    backfill,
    breaker,
    claiming,
    held_keys,
    importing,
    key_chunks,
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
    "chunks of one key": key_chunks.MODEL,
    "periods": periods.MODEL,
    "backfill": backfill.MODEL,
    "prune": prune.MODEL,
    "import": importing.MODEL,
    "reading": reading.MODEL,
    "acknowledgements": acknowledgements.MODEL,
    "breaker": breaker.MODEL,
    "held keys, a dead row holds": held_keys.HOLD,
    "held keys, a dead row is skipped": held_keys.SKIP,
}
#: It has more states than all others together.
LARGEST = "breaker"
RULES = [(name, rule) for name, model in MODELS.items() for rule in model.planted]


def in_proof(name: str, *values: Any) -> Any:
    """What a test is parametrised with; `make proof` alone runs it for the largest."""
    return pytest.param(*values, marks=pytest.mark.long if name == LARGEST else ())


@pytest.mark.parametrize(
    "model", [in_proof(name, model) for name, model in MODELS.items()], ids=MODELS
)
def test_no_order_of_steps_breaks_the_protocol(model: Model) -> None:
    result = search(model)

    assert not result.broken, "\n\n".join(result.broken.values())
    assert result.state_count >= model.min_states


@pytest.mark.parametrize(
    ("name", "rule"), [in_proof(name, name, rule) for name, rule in RULES]
)
def test_without_a_rule_the_search_finds_what_goes_wrong(name: str, rule: str) -> None:
    model = MODELS[name]
    assert counterexample(model, model.planted[rule], without=rule)


@pytest.mark.long
@pytest.mark.parametrize("model", breaker.GAPS.values(), ids=breaker.GAPS)
def test_the_gaps_of_the_breaker_are_those_that_the_docs_name(model: Model) -> None:
    """A cure of one takes it out of docs/failure-modes.md, and into the model."""
    assert counterexample(model, "nothing is given up")
