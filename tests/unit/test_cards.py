from __future__ import annotations

from datetime import date

import pytest

from shop.payments.cards import Card, card_cvc, card_expiry, card_number


@pytest.mark.parametrize(
    ("typed", "digits"),
    [
        ("4242424242424242", "4242424242424242"),
        ("4242 4242 4242 4242", "4242424242424242"),
        ("4000-0000-0000-0119", "4000000000000119"),
        # An American Express card has fifteen.
        ("378282246310005", "378282246310005"),
    ],
)
def test_a_card_number_is_read_as_it_is_printed(typed: str, digits: str) -> None:
    assert card_number(typed) == digits


@pytest.mark.parametrize(
    "typed",
    [
        "4242424242424241",  # one digit wrong
        "42424242",
        "4" * 40,
        "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢",  # digits, but not those of a card
        "<script>",
        "",
    ],
)
def test_what_is_no_card_number_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="not a card number"):
        card_number(typed)


@pytest.mark.parametrize(
    ("typed", "ends"),
    [
        ("08/29", date(2029, 9, 1)),
        ("8/29", date(2029, 9, 1)),
        ("12/29", date(2030, 1, 1)),
        (" 12 / 2029 ", date(2030, 1, 1)),
    ],
)
def test_a_card_is_valid_to_the_end_of_its_month(typed: str, ends: date) -> None:
    assert card_expiry(typed) == ends


@pytest.mark.parametrize("typed", ["13/29", "00/29", "1229", "12/9", "aa/bb", ""])
def test_what_is_no_month_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="not MM/YY|no such month"):
        card_expiry(typed)


@pytest.mark.parametrize("typed", ["12", "12345", "12a", "١٢٣"])
def test_what_is_no_security_code_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="three or four"):
        card_cvc(typed)


def test_a_card_does_not_show_itself_in_logs_and_tracebacks() -> None:
    card = Card("4242424242424242", date(2030, 1, 1), "987")

    assert "4242" not in repr(card)
    assert "987" not in repr(card)
    assert card.last4 == "4242"
