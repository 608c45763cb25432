"""`retry_failed`: what it begins and prints, and how it ends."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from router.flow.causes import group_by_cause
from router.models import Clock, FailedTask, RampedRetry, Subscriber
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("empty_router")


@pytest.fixture(autouse=True)
def erp(empty_router: None) -> Subscriber:
    """It has two open failed tasks, of two causes."""
    row = a_subscriber("erp")
    for error in ("E: no paper", "E: no ink"):
        a_failed_task(a_delivery(an_event(), row, "DEAD"), error=error)
    group_by_cause()
    return row


def command(*words: str) -> str:
    out = StringIO()
    call_command("retry_failed", *words, stdout=out, stderr=StringIO())
    return out.getvalue()


def refused(*words: str) -> str:
    with pytest.raises(CommandError) as error:
        command(*words)
    return str(error.value)


def test_a_dry_run_counts_and_begins_nothing() -> None:
    assert "erp has 2 open failed tasks to retry." in command("erp", "--dry-run")
    assert "0 open" in command("erp", "--dry-run", "--since", "2100-01-01")
    assert not RampedRetry.objects.exists()


def test_one_cause_is_retried_alone() -> None:
    cause = FailedTask.objects.earliest("pk").group_id
    command("erp", "--cause", str(cause), "--no-wait", "--reason", "paper is back")
    retry = RampedRetry.objects.get()
    assert (retry.group_id, retry.reason) == (cause, "paper is back")
    assert "no cause" in refused("erp", "--cause", "99999")


def test_the_same_command_shows_what_is_under_way_and_how_it_ended() -> None:
    command("erp", "--no-wait")
    RampedRetry.objects.update(state="complete", finished_at=Clock())
    command("erp", "--no-wait")
    assert "open" not in command("erp", "--no-wait")
    assert RampedRetry.objects.count() == 2


def test_what_stopped_ends_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    command("erp", "--no-wait")
    path = "router.management.commands.retry_failed.sleep"

    def stop(seconds: float) -> None:
        RampedRetry.objects.update(state="stopped", finished_at=Clock())

    monkeypatch.setattr(path, stop)
    assert refused("erp") == "The retry was stopped."


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nobody"], "There is no subscriber nobody"),
        (["erp", "--since", "noon"], "is no time"),
        (["erp", "--since", "2100-01-01"], "No failed task of it is open"),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], reason: str) -> None:
    assert reason in refused(*words)
