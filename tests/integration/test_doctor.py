"""`manage.py doctor`: what it finds wrong, and that it says how to fix it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import redis
from celery import current_app
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from router.conf import QUEUES
from router.models import Attempt, AttemptResult, Heartbeat, Subscriber
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event

pytestmark = pytest.mark.usefixtures("alive", "empty_router")


@pytest.fixture
def broker(broker_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """The broker that the site is set to, and a client of it."""
    monkeypatch.setattr(current_app.conf, "broker_url", broker_url)
    with redis.Redis.from_url(broker_url) as client:
        yield client


def examined(*arguments: str) -> tuple[str, int]:
    """What the doctor prints, and its exit code."""
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as error:
        return out.getvalue(), int(str(error.code))
    return out.getvalue(), 0


def complaint(printed: str, title: str) -> list[str]:
    """The lines of the fault with this title, and of its hint."""
    lines = printed.splitlines()
    shown = [n for n, line in enumerate(lines) if line.startswith(f"✗ {title}:")]
    return lines[shown[0] : shown[0] + 3] if shown else []


def test_it_ends_well_where_all_is_well(broker: redis.Redis) -> None:
    printed, code = examined()
    wrong = [line for line in printed.splitlines() if line.startswith("✗")]
    # The tests' own servers trade safety for speed, and the doctor sees it: SQLite
    # lives in memory, PostgreSQL does not wait for the disk.
    expected = {"✗ SQLite log", "✗ durability"}
    assert {line.partition(":")[0] for line in wrong} <= expected, printed
    assert code == bool(wrong)
    assert "✓ broker: maxmemory-policy is noeviction" in printed


def test_a_broker_that_throws_away_is_wrong(broker: redis.Redis) -> None:
    broker.config_set("maxmemory-policy", "allkeys-lru")
    try:
        printed, code = examined()
    finally:
        broker.config_set("maxmemory-policy", "noeviction")
    assert "allkeys-lru" in complaint(printed, "broker")[0]
    assert "CONFIG SET maxmemory-policy noeviction" in printed
    assert code == 1


@pytest.mark.parametrize("kind", ["redis", "amqp"])
def test_a_broker_that_is_away_is_wrong(
    free_port: int, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    url = f"{kind}://ada:swordfish@127.0.0.1:{free_port}/0"
    monkeypatch.setattr(current_app.conf, "broker_url", url)
    printed, code = examined()
    assert "refused" in " ".join(complaint(printed, "broker"))
    assert "swordfish" not in printed
    assert code == 1


def test_a_broker_that_would_lose_work_is_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(current_app.conf, "broker_url", "sqs://AKIAUSER:swordfish@")
    printed, code = examined()
    assert "sqs://" in " ".join(complaint(printed, "settings"))
    assert "swordfish" not in printed
    assert code == 1


@pytest.mark.parametrize("kind", ["dispatcher", "workers"])
def test_a_process_without_a_sign_of_life_is_wrong(
    broker: redis.Redis, kind: str
) -> None:
    an_hour_ago = timezone.now() - timedelta(hours=1)
    Heartbeat.objects.filter(kind=kind.removesuffix("s")).update(beat_at=an_hour_ago)
    printed, code = examined()
    assert complaint(printed, kind)
    assert code == 1


def test_a_dangerous_setting_is_wrong(broker: redis.Redis, settings: Any) -> None:
    settings.CELERY_DB_REUSE_MAX = None
    printed, code = examined()
    assert "CELERY_DB_REUSE_MAX" in " ".join(complaint(printed, "settings"))
    assert code == 1


def test_a_database_that_is_away_is_wrong(
    broker: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError("no password swordfish at db.example\nand more")

    with monkeypatch.context() as patched:
        patched.setattr(connection, "ensure_connection", away)
        patched.setitem(connection.settings_dict, "PASSWORD", "swordfish")
        printed, code = examined()
    assert "(no password … at db.example)" in complaint(printed, "database")[0]
    assert "swordfish" not in printed
    assert code == 1


def warning(printed: str, title: str) -> str:
    """The warning with this title and its hint, as one line."""
    before, sign, rest = printed.partition(f"! {title}: ")
    assert sign, printed
    lines = [rest.splitlines()[0]]
    for line in rest.splitlines()[1:]:
        if line[:1] in "✓✗!" or not line.strip():
            break
        lines.append(line.strip())
    return " ".join(" ".join(lines).split())


@pytest.fixture
def well(alive: None, broker: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the subscribers is examined: the tests' own servers are not safe."""
    for name in ("examine_settings", "examine_database", "examine_broker"):
        monkeypatch.setattr(f"router.management.doctor.{name}", lambda: iter(()))
    serve(*QUEUES.values())


def serve(*queues: str) -> None:
    Heartbeat.objects.filter(kind="worker").update(queues=list(queues))


def a_webhook(name: str, **fields: Any) -> Subscriber:
    return a_subscriber(name, transport="webhook", **fields)


def owed(to: Subscriber, count: int = 1, **fields: Any) -> Any:
    return [a_delivery(an_event(), to, **fields) for _ in range(count)][-1]


@pytest.mark.usefixtures("well")
def test_subscribers_that_get_their_events_are_well() -> None:
    owed(a_webhook("letters"))
    printed, code = examined("--strict")
    assert "✓ subscribers: 1; none is held" in printed
    assert printed.endswith("All is well.\n")
    assert code == 0


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize(
    ("state", "is_for_setup", "remedy"),
    [
        ("paused", False, "Resume it on"),
        ("disabled", False, "Resume it on"),
        ("paused", True, "Set it and restart the dispatcher"),
    ],
)
def test_a_held_subscriber_is_named_with_cause_since_when_and_how_much(
    state: str, is_for_setup: bool, remedy: str
) -> None:
    since = timezone.now() - timedelta(hours=30)
    held = a_webhook(
        "letters",
        state=state,
        state_reason="new paper",
        state_changed_at=since,
        is_held_for_setup=is_for_setup,
    )
    owed(held, 2)

    printed, code = examined()

    shown = warning(printed, "subscriber letters")
    words = f"{state} since {since:%Y-%m-%d %H:%M} UTC: new paper. 2 events held."
    assert words in shown
    assert remedy in shown
    assert f"/admin/router/subscriber/{held.pk}/change/" in shown
    assert "All is well" not in printed
    assert code == 0
    assert examined("--strict")[1] == 1


@pytest.mark.usefixtures("well")
def test_doctor_reports_an_open_breaker_in_the_words_of_the_receiver() -> None:
    now = timezone.now()
    down = a_webhook(
        "letters",
        breaker="open",
        incident_since=now - timedelta(minutes=4),
        probe_at=now + timedelta(seconds=30),
    )
    owed(down, 2)
    delivery = owed(down, failures=1, last_failed_at=now)
    Attempt.objects.create(
        delivery=delivery,
        number=1,
        result=AttemptResult.RETRY,
        error="HttpStatus: 503",
        http_status=503,
        answer="\n  out of \x1b[2Jpaper\nask Ada",
        ended_at=now,
    )

    printed, code = examined()

    shown = warning(printed, "subscriber letters")
    assert "unreachable since" in shown
    assert "UTC: HTTP 503: out of �[2Jpaper. 3 events held. Next try in" in shown
    assert "ask Ada" not in shown
    assert code == 0


@pytest.mark.usefixtures("well")
def test_a_subscriber_whose_code_is_gone_is_named() -> None:
    owed(a_subscriber("letters"))
    shown = warning(examined()[0], "subscriber letters")
    assert shown.startswith("no installed code has this name. 1 event held.")
    assert "ROUTER['HANDLERS']" in shown


@pytest.mark.usefixtures("well")
def test_open_failed_tasks_are_counted_by_subscriber() -> None:
    for name, count in (("letters", 2), ("stock", 1)):
        to = a_webhook(name)
        for _ in range(count):
            a_failed_task(owed(to, state="DEAD"))
    a_failed_task(owed(a_webhook("well"), state="DEAD"), state="discarded")

    printed, code = examined()

    shown = warning(printed, "subscriber letters")
    assert shown.startswith("2 failed tasks need attention")
    assert "/admin/router/failedtask/?state=open" in shown
    assert "1 failed task needs" in warning(printed, "subscriber stock")
    assert "subscriber well" not in printed
    assert code == 0


@pytest.mark.usefixtures("well")
def test_a_queue_with_work_that_no_worker_takes_is_a_fault() -> None:
    serve(QUEUES["default"])
    owed(a_webhook("letters"), 2)

    printed, code = examined()

    shown = " ".join(complaint(printed, "workers"))
    assert "none takes from router.webhooks, where 2 events wait" in shown
    assert "-Q router.webhooks" in shown
    assert printed.endswith("1 fault. Fix the faults.\n")
    assert code == 1


@pytest.mark.usefixtures("well")
@pytest.mark.parametrize("has_up", [True, False])
def test_a_command_that_the_project_does_not_have_is_not_advised(
    monkeypatch: pytest.MonkeyPatch, has_up: bool
) -> None:
    Heartbeat.objects.all().delete()
    name = "router.management.doctor.processes.get_commands"
    monkeypatch.setattr(name, lambda: {"up": "config"} if has_up else {})
    printed, _ = examined()
    assert "manage.py dispatch" in printed
    assert ("manage.py up" in printed) is has_up


@pytest.mark.usefixtures("well")
def test_a_receiver_that_asked_for_time_is_named_and_one_that_is_back_is_not() -> None:
    asked = a_webhook("asked", not_before=timezone.now() + timedelta(minutes=9.5))
    owed(asked, 2)
    owed(a_webhook("back", breaker="draining", ramp=1))

    printed, code = examined()

    shown = warning(printed, "subscriber asked")
    assert "(Retry-After). 2 events held. Next try in 9 min." in shown
    assert "subscriber back" not in printed
    assert code == 0
