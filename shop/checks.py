"""What is wrong with the shop's settings, reported before the first customer comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.utils.module_loading import import_string

from shop.conf import conf
from shop.signals import purchase_completed

SANDBOX = "shop.payments.sandbox.SandboxGateway"


def register_all() -> None:
    checks: Sequence[Callable[..., list[CheckMessage]]] = (
        check_names,
        check_listeners,
        check_sandbox,
        check_limits,
    )
    for check in checks:
        register(check, "shop")


def check_names(**_: Any) -> list[CheckMessage]:
    """SHOP's dotted names lead to something that can be called."""
    names = conf()
    errors: list[CheckMessage] = []
    if names.availability and not _is_callable(names.availability):
        errors.append(_not_callable("AVAILABILITY", names.availability, "shop.E001"))
    if not _is_callable(names.gateway):
        errors.append(_not_callable("GATEWAY", names.gateway, "shop.E002"))
    return errors


def check_listeners(**_: Any) -> list[CheckMessage]:
    if purchase_completed.has_listeners():
        return []
    return [
        Warning(
            "No receiver is connected to shop.signals.purchase_completed: nothing can "
            "be sold.",
            hint='Name it in ROUTER["SOURCES"], or connect a receiver of your own.',
            id="shop.W003",
        )
    ]


def check_sandbox(**_: Any) -> list[CheckMessage]:
    if settings.DEBUG or conf().gateway != SANDBOX:
        return []
    return [
        Warning(
            "The shop takes payments with the sandbox: test cards buy real goods.",
            hint='Set SHOP["GATEWAY"] to a gateway of a real bank, or DEBUG=true.',
            id="shop.W004",
        )
    ]


def check_limits(**_: Any) -> list[CheckMessage]:
    given = conf()
    limits = {
        "MAX_CHECKOUTS_PER_NETWORK": given.max_checkouts_per_network,
        "MAX_ORDERS_PER_EMAIL": given.max_orders_per_email,
    }
    return [
        Error(
            f'SHOP["{name}"] is {limit!r}, which is no number of checkouts.',
            hint="Set a whole number from 1, or 0 for no limit.",
            id="shop.E005",
        )
        for name, limit in limits.items()
        if type(limit) is not int or limit < 0
    ]


def _is_callable(name: str) -> bool:
    try:
        return callable(import_string(name))
    except ImportError:
        return False


def _not_callable(setting: str, name: str, identity: str) -> Error:
    return Error(
        f'SHOP["{setting}"] is "{name}", which cannot be imported and called.',
        hint="Correct the dotted name, or take the line out of SHOP.",
        id=identity,
    )
