"""Interrupted payments are finished by a process that stays, here and in docker."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from config.env import BASE_DIR
from tests.servers.stack import Stack

#: A purchase whose bank went away before the money was taken.
INTERRUPTED = """
from django.conf import settings
from django.test import Client, override_settings
from shop.models import Product
from tests.integration.shopping import a_product, check_out, put_in_basket
bank = {**settings.SHOP, "GATEWAY": "tests.integration.banks.NoCapture"}
with override_settings(SHOP=bank):
    client = Client()
    put_in_basket(client, Product.objects.first() or a_product())
    assert check_out(client).status_code == 302
"""
#: The state of the payment of that purchase.
STATE = """
from shop.models import Payment
print(Payment.objects.latest("pk").state)
"""


def state_after(stack: Stack, code: str = "") -> str:
    return stack.manage("shell", "-v0", "-c", code + STATE).splitlines()[-1]


@pytest.mark.long
@pytest.mark.xdist_group("stack")
def test_up_finishes_an_interrupted_payment(stack: Stack) -> None:
    assert state_after(stack, INTERRUPTED) == "authorised"

    # Two minutes are long for a test: a process that starts begins with a round.
    stack.kill("payments")

    stack.wait_for_log(
        "0 asked about: 0 ordered, 0 still unknown; 0 voided; 1 captured"
    )
    assert state_after(stack) == "captured"


@contextmanager
def settling(stack: Stack, every: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "manage.py", "settle_payments", "--every", every],
        cwd=BASE_DIR,
        env={**stack.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        # There manage.py says that another test's site runs in this folder.
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


class Idle(Stack):
    """The state of a stack that nobody starts."""

    def start(self) -> None:  # type: ignore[override]
        self.var_dir.mkdir()
        self.manage("migrate", "-v0")


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return Idle(tmp_path_factory.mktemp("idle"))


@pytest.mark.long
def test_an_outage_of_the_database_ends_nothing_and_sigterm_ends_it(
    idle: Stack,
) -> None:
    stack = idle
    away = stack.var_dir.with_name("away")
    with settling(stack, "1") as process:
        assert process.stdout
        stack.var_dir.rename(away)
        assert process.stdout.readline() == "The database is away: OperationalError.\n"
        away.rename(stack.var_dir)
        assert state_after(stack, INTERRUPTED) in ("authorised", "captured")
        assert process.stdout.readline().endswith("1 captured\n")
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)

    assert rest == ""
    assert process.returncode == 0
    assert state_after(stack) == "captured"


@pytest.mark.long
def test_a_long_pause_ends_at_once(idle: Stack) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        state_after(idle, INTERRUPTED)
        with settling(idle, "3600") as process:
            assert process.stdout
            assert process.stdout.readline().endswith("1 captured\n")
            process.send_signal(number)
            assert process.wait(timeout=60) == 0
