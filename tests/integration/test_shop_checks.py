from __future__ import annotations

from typing import Any

import pytest

from shop import checks
from shop.signals import purchase_completed


def ids(problems: list[Any]) -> list[str]:
    assert all(message.hint for message in problems)
    return [message.id for message in problems]


def test_the_settings_that_ship_are_in_order() -> None:
    assert ids(checks.check_names()) == []
    assert ids(checks.check_listeners()) == []


@pytest.mark.parametrize(
    ("name", "dotted", "message"),
    [
        ("AVAILABILITY", "no.such.module", ["shop.E001"]),
        ("AVAILABILITY", "shop.money.nothing", ["shop.E001"]),
        ("AVAILABILITY", "shop.validation.NAME_LENGTH", ["shop.E001"]),
        ("AVAILABILITY", "", []),
        ("GATEWAY", "no.such.module", ["shop.E002"]),
        ("GATEWAY", "", ["shop.E002"]),
    ],
)
def test_a_name_that_leads_nowhere_is_an_error(
    settings: Any, name: str, dotted: str, message: list[str]
) -> None:
    settings.SHOP = {**settings.SHOP, name: dotted}

    assert ids(checks.check_names()) == message


def test_a_shop_that_nobody_hears_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purchase_completed, "receivers", [])

    assert ids(checks.check_listeners()) == ["shop.W003"]


@pytest.mark.parametrize(
    ("limit", "message"), [(-1, ["shop.E005"]), ("60", ["shop.E005"]), (0, []), (1, [])]
)
@pytest.mark.parametrize("name", ["MAX_CHECKOUTS_PER_NETWORK", "MAX_ORDERS_PER_EMAIL"])
def test_a_limit_that_is_no_number_is_an_error(
    settings: Any, name: str, limit: object, message: list[str]
) -> None:
    settings.SHOP = {**settings.SHOP, name: limit}

    assert ids(checks.check_limits()) == message


@pytest.mark.parametrize(("is_debug", "message"), [(True, []), (False, ["shop.W004"])])
def test_the_sandbox_outside_debug_is_warned(
    settings: Any, is_debug: bool, message: list[str]
) -> None:
    settings.DEBUG = is_debug

    assert ids(checks.check_sandbox()) == message
