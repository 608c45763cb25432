from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from shop import intents
from shop.intents import CheckoutRequest, KeyTaken
from shop.models import CheckoutIntent, IntentState
from shop.payments.gateway import Authorised, Declined, Unknown
from shop.pricing import Priced, totals_of

pytestmark = pytest.mark.django_db
Step = Callable[[CheckoutIntent], bool]


def a_wish(**fields: object) -> CheckoutRequest:
    defaults: dict[str, object] = {
        "key": uuid4(),
        "owner": "ada",
        "basket_id": uuid4(),
        "details": {},
        "priced": Priced((), (), totals_of(690)),
        "card_last4": "4242",
    }
    return CheckoutRequest(**{**defaults, **fields})  # type: ignore[arg-type]


def an_intent(state: IntentState) -> CheckoutIntent:
    intent, _ = intents.begin(a_wish())
    CheckoutIntent.objects.update(state=state)
    return intent


def yes(intent: CheckoutIntent) -> bool:
    return intents.answered(intent, Authorised("ref"))


def no(intent: CheckoutIntent) -> bool:
    return intents.answered(intent, Declined("card_declined"))


def silence(intent: CheckoutIntent) -> bool:
    return intents.answered(intent, Unknown())


MOVES: dict[Step, tuple[set[IntentState], IntentState]] = {
    yes: ({IntentState.AUTHORISING, IntentState.UNKNOWN}, IntentState.AUTHORISED),
    no: ({IntentState.AUTHORISING, IntentState.UNKNOWN}, IntentState.DECLINED),
    silence: ({IntentState.AUTHORISING}, IntentState.UNKNOWN),
    intents.ordered: ({IntentState.AUTHORISED}, IntentState.ORDERED),
    intents.abandon: ({IntentState.AUTHORISED}, IntentState.ABANDONED),
    intents.voided: ({IntentState.ABANDONED}, IntentState.VOIDED),
}


@pytest.mark.parametrize("before", list(IntentState))
@pytest.mark.parametrize("step", MOVES, ids=lambda step: step.__name__)
def test_a_step_is_taken_from_its_own_states_only(
    step: Step, before: IntentState
) -> None:
    starts, after = MOVES[step]
    intent = an_intent(before)

    assert step(intent) is (before in starts)

    intent.refresh_from_db()
    assert intent.state == (after if before in starts else before)


def test_a_basket_is_under_way_once() -> None:
    first = a_wish()
    intent, _ = intents.begin(first)

    second, is_new = intents.begin(a_wish(basket_id=first.basket_id))

    assert (second, is_new) == (intent, False)


@pytest.mark.parametrize("over", [IntentState.DECLINED, IntentState.VOIDED])
def test_a_basket_whose_payment_failed_may_be_tried_again(over: IntentState) -> None:
    first = a_wish()
    intents.begin(first)
    CheckoutIntent.objects.update(state=over)

    _, is_new = intents.begin(a_wish(basket_id=first.basket_id))

    assert is_new


def test_a_key_belongs_to_whoever_used_it_first() -> None:
    first = a_wish()
    intents.begin(first)

    with pytest.raises(KeyTaken):
        intents.begin(a_wish(key=first.key, owner="eve"))
    assert intents.find(first.key, "eve") is None
