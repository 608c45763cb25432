"""`backfill` and `replay`: what they begin and print, and how they end."""

from __future__ import annotations

import getpass
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from router.flow.route.routing import route_batch
from router.models import AuditEntry, Clock, EventRecord, Run, RunState, Subscriber
from router.operate.subscribers import create_subscriber
from router.public import Event, publish, subscriber
from router.testing import register_declared
from tests.integration.rows import a_delivery, a_failed_task

pytestmark = pytest.mark.usefixtures("empty_router")


@pytest.fixture(autouse=True)
def erp(empty_router: None) -> Subscriber:
    """A subscriber that came after six events."""
    for n in range(6):
        publish("ticket.sold", {}, source="/box", subject=f"order-{n}")
    route_batch()
    return create_subscriber(
        "erp", by="test", transport="pull", events=["ticket.*"]
    ).subscriber


def command(*words: str, out: StringIO | None = None) -> str:
    out = out or StringIO()
    call_command(*words, stdout=out, stderr=StringIO())
    return out.getvalue()


def refused(*words: str) -> str:
    with pytest.raises(CommandError) as error:
        command(*words)
    return str(error.value)


def end(state: RunState, count: int = 6) -> None:
    """As the dispatcher ends a run."""
    Run.objects.update(state=state, count=count, digest=255, finished_at=Clock())


def test_a_dry_run_says_what_would_come_and_begins_nothing() -> None:
    printed = command("backfill", "erp", "--dry-run", "--rate", "2")
    assert "Gives erp 6 events from before it, beside its live ones." in printed
    assert "Positions 1 to 6, recorded from 20" in printed
    assert "ticket.sold (6)" in printed
    assert "position 1  ticket.sold #" in printed
    assert "order-0" in printed
    assert "It takes about 3 s." in printed
    assert not Run.objects.exists()


def test_a_backfill_is_begun_and_not_followed() -> None:
    printed = command("backfill", "erp", "--from", "3", "--no-wait", "--reason", "late")
    assert "backfill 1 of erp is begun." in printed
    run = Run.objects.get()
    assert (run.start, run.end, run.reason) == (2, 6, "late")
    assert run.requested_by == f"command {getpass.getuser()}"


def test_the_same_command_again_shows_the_run_that_is_under_way() -> None:
    for words in (["backfill", "erp"], ["replay", "erp", "--from", "2"]):
        command(*words, "--no-wait")
        publish("ticket.sold", {}, source="/box")
        route_batch()
        assert "is under way." in command(*words, "--no-wait")
        assert Run.objects.filter(kind=words[0]).count() == 1
    command("replay", "erp", "--from", "3", "--no-wait")
    assert Run.objects.filter(kind="replay").count() == 2


def test_the_command_changes_the_rate_of_a_run_that_is_under_way() -> None:
    command("backfill", "erp", "--rate", "5", "--no-wait")

    planned = command("backfill", "erp", "--rate", "2.5", "--dry-run")
    assert "Its rate would be 2.5 events a second." in planned
    assert Run.objects.get().rate_per_second == 5
    printed = command(
        "backfill", "erp", "--rate", "2.5", "--no-wait", "--reason", "slow"
    )
    assert "Its rate is now 2.5 events a second." in printed
    assert Run.objects.get().rate_per_second == 2.5
    assert AuditEntry.objects.get(action="run.rate_changed").reason == "slow"

    assert "rate" not in command("backfill", "erp", "--no-wait")
    assert "rate_per_second" in refused("backfill", "erp", "--rate", "-1")


class Reader(StringIO):
    """Reads what is shown; at the first line of progress the run ends."""

    state: RunState
    is_terminal = False
    has_ended = False

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        if "left." in text and not self.has_ended:
            self.has_ended = True
            end(self.state)
        return super().write(text)


def followed(state: RunState, *, is_terminal: bool = False) -> StringIO:
    out = Reader()
    out.state, out.is_terminal = state, is_terminal
    return out


@pytest.mark.parametrize("is_terminal", [True, False])
def test_it_is_followed_until_it_is_complete(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    out = followed(RunState.COMPLETE, is_terminal=is_terminal)
    printed = command("backfill", "erp", out=out)
    assert "backfill 1 of erp: 0%, 6 events left." in printed
    assert "backfill 1 of erp is complete, after " in printed
    assert "6 events, digest 00000000000000ff." in printed
    assert ("\x1b" in printed) == is_terminal


def test_a_run_that_is_cancelled_meanwhile_ends_it_with_an_error() -> None:
    with pytest.raises(CommandError, match="was cancelled"):
        command("backfill", "erp", out=followed(RunState.CANCELLED))


def test_events_that_were_given_up_end_it_with_an_error(erp: Subscriber) -> None:
    event = EventRecord.objects.get(position=1)
    a_failed_task(a_delivery(event, erp, "DEAD", run=1))
    with pytest.raises(CommandError, match="1 event was given up"):
        command("backfill", "erp", out=followed(RunState.COMPLETE))


def test_ctrl_c_leaves_the_run_alone() -> None:
    class Impatient(StringIO):
        is_done = False

        def write(self, text: str) -> int:
            if "left." in text and not self.is_done:
                self.is_done = True
                raise KeyboardInterrupt
            return super().write(text)

    printed = command("backfill", "erp", out=Impatient())
    assert "The backfill goes on." in printed
    assert "--pause 1 pauses it" in printed
    assert Run.objects.get().is_open


def test_a_held_subscriber_and_a_pause_are_named() -> None:
    Subscriber.objects.update(state="paused", state_reason="moving house")
    out = followed(RunState.COMPLETE)
    printed = command("backfill", "erp", out=out)
    assert "erp is held. It is paused: moving house." in printed


def test_a_run_is_paused_resumed_and_cancelled() -> None:
    command("backfill", "erp", "--no-wait")
    for act, state in (
        ("pause", RunState.PAUSED),
        ("resume", RunState.ACTIVE),
        ("cancel", RunState.CANCELLED),
    ):
        printed = command("backfill", "erp", f"--{act}", "1", "--reason", act)
        assert "backfill 1 of erp" in printed
        assert Run.objects.get().state == state
    assert AuditEntry.objects.get(action="run.cancelled").reason == "cancel"
    assert "cancelled" in refused("backfill", "erp", "--resume", "1")
    assert "The newest are: 1." in refused("backfill", "erp", "--pause", "7")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["backfill", "nobody"], "There is no subscriber 'nobody'. Known are: erp."),
        (["backfill", "erp", "--from", "99"], "beyond the end of the log"),
        (["backfill", "erp", "--from", "yesterday"], "RFC 3339"),
        (["replay", "erp", "--from", "5", "--until", "2"], "before the start"),
        (["replay", "erp", "--rate", "0"], "rate_per_second"),
        (["replay", "erp", "--filter", '{"exakt": {}}'], "/filter"),
        (["replay", "erp", "--filter", "{"], "this is no JSON"),
        (["replay", "erp", "--order", "order-99"], "no event of an order"),
        (["replay", "erp", "--events", "999999"], "not in the log"),
    ],
)
def test_what_is_wrong_is_named(words: list[str], problem: str) -> None:
    assert problem in refused(*words)
    assert not Run.objects.exists()


def test_a_replay_takes_a_window_types_a_filter_and_a_rate() -> None:
    command(
        "replay", "erp", "--from", "2", "--until", "4", "--types", "ticket.sold",
        "--filter", '{"exact": {"source": "/box"}}', "--rate", "3", "--no-wait",
    )  # fmt: skip
    run = Run.objects.get()
    assert (run.kind, run.start, run.end) == ("replay", 1, 4)
    assert (run.events, run.rate_per_second) == (["ticket.sold"], 3)
    assert run.filter == {"exact": {"source": "/box"}}


def test_a_day_is_a_place() -> None:
    command("replay", "erp", "--from", "2026-02-03", "--no-wait")
    assert Run.objects.get().start == 0


def test_the_events_of_one_order_are_replayed_alone() -> None:
    publish("parcel.lost", {}, source="/box", subject="order-3")
    route_batch()
    wanted = EventRecord.objects.get(type="ticket.sold", subject="order-3")
    command("replay", "erp", "--order", "order-3", "--no-wait")
    assert Run.objects.get().chosen == [wanted.number]


def test_a_handler_that_is_not_idempotent_is_confirmed() -> None:
    @subscriber("plain", events=["ticket.*"])
    def plain(event: Event) -> None:
        pass

    register_declared()
    assert "It needs --confirm" in command("replay", "plain", "--dry-run")
    assert "To confirm, add --confirm." in refused("replay", "plain")
    printed = command("replay", "plain", "--confirm", "--no-wait")
    assert "needs --confirm" not in printed
    assert Run.objects.get().subscriber.name == "plain"


def test_failed_tasks_are_replayed_alone() -> None:
    printed = command("replay", "erp", "--only-failed", "--no-wait")
    assert "Gives nothing" in printed
    assert Run.objects.get().only_failed
