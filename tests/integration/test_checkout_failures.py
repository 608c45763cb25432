"""Each step of a checkout fails once: never sold without an event, never charged
without an order, never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from router.models import EventRecord
from shop.intents import STALE
from shop.models import CheckoutIntent, Order, SandboxCharge
from shop.signals import purchase_completed
from tests.integration import banks
from tests.integration.shopping import (
    LATE_NO,
    LATE_YES,
    check_out,
    filled,
)

pytestmark = pytest.mark.django_db
UseBank = Callable[[str], None]


@pytest.fixture
def use_bank(settings: Any) -> UseBank:
    def use(name: str) -> None:
        gateway = f"tests.integration.banks.{name}" if name else _SANDBOX
        settings.SHOP = {**settings.SHOP, "GATEWAY": gateway}

    return use


QUOTED = "the log refuses the row of ada@example.com"
_SANDBOX = "shop.payments.sandbox.SandboxGateway"


@pytest.fixture
def failing_receiver() -> Iterator[None]:
    def fail(**_: object) -> None:
        raise IntegrityError(QUOTED)

    purchase_completed.connect(fail)
    yield
    purchase_completed.disconnect(fail)


@pytest.fixture
def no_receiver() -> Iterator[None]:
    kept, purchase_completed.receivers = purchase_completed.receivers, []
    purchase_completed.sender_receivers_cache.clear()
    yield
    purchase_completed.receivers = kept
    purchase_completed.sender_receivers_cache.clear()


def charged() -> list[str]:
    return list(SandboxCharge.objects.values_list("state", flat=True))


def intent_state() -> str:
    return CheckoutIntent.objects.get().state


def settle() -> str:
    output = StringIO()
    call_command("settle_payments", stdout=output)
    return output.getvalue()


def let_time_pass() -> None:
    CheckoutIntent.objects.update(changed_at=timezone.now() - STALE - timedelta(1))


def assert_nothing_sold() -> None:
    assert Order.objects.count() == 0
    assert EventRecord.objects.count() == 0


def assert_sold_once() -> None:
    assert Order.objects.count() == 1
    assert EventRecord.objects.filter(type="purchase.completed").count() == 1
    assert charged() == ["captured"]


def test_an_event_that_cannot_be_recorded_sells_nothing_and_is_voided(
    shopper: Client, failing_receiver: None
) -> None:
    answer = check_out(shopper)

    assert answer.status_code == 503
    assert "you have not been charged" in answer.content.decode()
    assert_nothing_sold()
    assert charged() == ["voided"]
    assert intent_state() == "voided"


def test_a_customer_s_data_stays_out_of_the_log_of_a_failure(
    shopper: Client, failing_receiver: None, caplog: pytest.LogCaptureFixture
) -> None:
    check_out(shopper)

    assert "IntegrityError" in caplog.text
    assert "ada@example.com" not in caplog.text


def test_with_nobody_listening_nothing_is_sold(
    shopper: Client, no_receiver: None
) -> None:
    assert check_out(shopper).status_code == 503
    assert_nothing_sold()
    assert charged() == ["voided"]


def test_after_a_failure_the_same_basket_can_be_bought(
    shopper: Client, no_receiver: None
) -> None:
    failed = check_out(shopper)
    kept = purchase_completed.receivers
    purchase_completed.connect(_listen)
    try:
        assert shopper.post("/checkout/", filled(failed)).status_code == 302
    finally:
        purchase_completed.disconnect(_listen)
    assert purchase_completed.receivers == kept
    assert sorted(charged()) == ["captured", "voided"]


def _listen(**_: object) -> None:
    """Somebody hears of it."""


def test_a_void_that_fails_is_made_up_for_by_the_command(
    shopper: Client, failing_receiver: None, use_bank: UseBank
) -> None:
    use_bank("NoVoid")
    check_out(shopper)
    assert charged() == ["authorised"]
    with pytest.raises(CommandError, match="1 could not be settled"):
        settle()

    use_bank("")

    assert "1 voided" in settle()
    assert charged() == ["voided"]
    assert intent_state() == "voided"


def test_a_capture_that_fails_keeps_the_order_and_is_made_up_for(
    shopper: Client, use_bank: UseBank
) -> None:
    use_bank("NoCapture")
    assert check_out(shopper).status_code == 302
    assert charged() == ["authorised"]

    use_bank("")

    assert "1 captured" in settle()
    assert "0 captured" in settle()
    assert_sold_once()


@pytest.mark.parametrize("is_asked_by_page", [True, False])
def test_a_late_yes_becomes_an_order(shopper: Client, is_asked_by_page: bool) -> None:
    waiting = check_out(shopper, LATE_YES)["Location"]
    page = shopper.get(waiting).content.decode()
    assert '<meta http-equiv="refresh"' in page
    assert_nothing_sold()

    if is_asked_by_page:
        let_time_pass()
    else:
        assert "1 ordered" in settle()

    assert shopper.get(waiting)["Location"] == Order.objects.get().get_absolute_url()
    assert_sold_once()
    assert "Your basket is empty" in shopper.get("/basket/").content.decode()


@pytest.mark.parametrize("is_asked_by_page", [True, False])
def test_a_late_no_sells_nothing(shopper: Client, is_asked_by_page: bool) -> None:
    waiting = check_out(shopper, LATE_NO)["Location"]
    if is_asked_by_page:
        let_time_pass()
    else:
        settle()

    page = shopper.get(waiting).content.decode()

    assert "you have not been charged" in page
    assert "refresh" not in page
    assert_nothing_sold()
    assert charged() == ["declined"]


@pytest.mark.parametrize(
    ("bank", "is_sold"), [("AnswerLost", True), ("QuestionLost", False)]
)
def test_a_lost_line_is_asked_about(
    shopper: Client, use_bank: UseBank, bank: str, is_sold: bool
) -> None:
    use_bank(bank)
    check_out(shopper)

    settle()

    assert Order.objects.count() == int(is_sold)
    assert charged() == (["captured"] if is_sold else ["declined"])


def test_while_the_bank_is_away_everything_waits(
    shopper: Client, use_bank: UseBank
) -> None:
    use_bank("Away")
    waiting = check_out(shopper)["Location"]

    with pytest.raises(CommandError, match="1 could not be settled"):
        settle()
    let_time_pass()

    assert "refresh" in shopper.get(waiting).content.decode()
    assert intent_state() == "unknown"


def test_a_waiting_payment_is_not_paid_again_from_another_tab(shopper: Client) -> None:
    other_tab = shopper.get("/checkout/")
    waiting = check_out(shopper, LATE_YES)["Location"]

    answer = shopper.post("/checkout/", filled(other_tab))

    assert answer["Location"] == waiting
    assert charged() == ["authorised"]


def test_a_crash_before_the_answer_is_kept_is_mended(
    shopper: Client, use_bank: UseBank
) -> None:
    use_bank("CrashAfterAuthorising")
    with pytest.raises(banks.Crash):
        check_out(shopper)
    use_bank("")
    assert "0 asked about" in settle()

    let_time_pass()
    settle()

    assert_sold_once()


def test_a_crash_between_authorising_and_recording_is_voided(shopper: Client) -> None:
    check_out(shopper, LATE_YES)
    charge = SandboxCharge.objects.get()
    CheckoutIntent.objects.update(
        state="authorised", payment_reference=charge.reference
    )
    assert "0 voided" in settle()

    let_time_pass()

    assert "1 voided" in settle()
    assert charged() == ["voided"]
    assert_nothing_sold()


def test_a_crash_before_the_capture_is_mended(
    shopper: Client, use_bank: UseBank
) -> None:
    use_bank("CrashBeforeCapture")
    with pytest.raises(banks.Crash):
        check_out(shopper)
    use_bank("")

    settle()

    assert_sold_once()


def test_a_customer_who_reloads_after_a_crash_comes_to_the_same_order(
    shopper: Client, use_bank: UseBank
) -> None:
    form = filled(shopper.get("/checkout/"))
    use_bank("CrashAfterAuthorising")
    with pytest.raises(banks.Crash):
        shopper.post("/checkout/", form)
    use_bank("")
    let_time_pass()

    answer = shopper.post("/checkout/", form, follow=True)

    assert answer.status_code == 200
    assert answer.redirect_chain[-1][0] == Order.objects.get().get_absolute_url()
    assert_sold_once()


def test_a_dry_run_settles_nothing(shopper: Client) -> None:
    check_out(shopper, LATE_YES)
    output = StringIO()

    call_command("settle_payments", "--dry-run", stdout=output)

    assert "1 to ask about" in output.getvalue()
    assert_nothing_sold()


@pytest.mark.parametrize("wrong", ["0", "-5", "nan", "inf", "1e9"])
def test_a_pause_that_cannot_be_is_refused(wrong: str) -> None:
    with pytest.raises(CommandError, match="--every takes 1 to 86400 seconds"):
        call_command("settle_payments", f"--every={wrong}")
