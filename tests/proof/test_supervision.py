"""`manage.py up` while its programs fall silent, die again and again, and start."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import partial

import pytest

from config.supervisor import processes
from config.supervisor.readiness import Site
from tests.acceptance.customer import Customer
from tests.acceptance.test_up import has_ended, stop_while_it_starts
from tests.conftest import StartStack
from tests.servers.stack import STOP_SECONDS, Stack, running
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.xdist_group("supervision")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The last of its tests ends it."""
    with running(tmp_path_factory.mktemp("supervised")) as started:
        yield started


def test_what_falls_silent_is_killed_and_comes_back(stack: Stack) -> None:
    web = stack.find("web")
    assert web is not None
    silenced = [*web.children(), stack.kill("dispatcher", signal.SIGSTOP)]
    for child in web.children():
        child.suspend()
    for name in ("dispatcher", "web"):
        stack.wait_for_log(f"{name} gives no sign of life")
    wait_until(lambda: all(map(has_ended, silenced)))
    wait_until(Site("127.0.0.1", stack.port).is_ready)
    order = Customer(stack.url).buy()
    wait_until(lambda: Customer(stack.url).sees_all_done(order))


def test_what_dies_again_and_again_stops_everything(stack: Stack) -> None:
    everything = stack.everything()
    for _ in range(processes.MAX_DEATHS):
        wait_until(lambda: stack.find("slow") is not None)
        wait_until(partial(has_ended, stack.kill("slow")))
    assert stack.process.wait(STOP_SECONDS) == 1
    last = stack.log_text().splitlines()[-1]
    assert "slow was ended by SIGKILL, for the 5th time" in last
    assert [process for process in everything if not has_ended(process)] == []


def test_it_can_be_stopped_when_all_is_about_to_be_ready(
    start_stack: StartStack,
) -> None:
    stop_while_it_starts(start_stack(is_ready=False), "broker answers")
