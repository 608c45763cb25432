"""`manage.py listen` against a router over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from standardwebhooks import Webhook

from router.contract.signing import make_secret
from router.management.listen import following
from router.models import ApiKey, Delivery, EventRecord, Scope, Subscriber
from router.public import publish
from router.testing import deliver_due, route
from tests.contract.steps import webhook_subscriber
from tests.integration.lines import Line
from tests.servers.receiving import Received, Receiver, status
from tests.servers.waiting import free_port, wait_until

pytestmark = pytest.mark.usefixtures("transactional_db", "empty_router")

SECRET = make_secret()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> str:
    text: str = ApiKey.make("laptop", scopes=[Scope.MANAGE])[1]
    monkeypatch.setenv("FANFARE_API_KEY", text)
    monkeypatch.setenv("FANFARE_SIGNING_SECRET", SECRET)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(following, "POLL_SECONDS", 0.05)
    return text


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def publish_some(*data: Any, type: str = "thing.happened", **attributes: Any) -> None:
    for each in data:
        publish(type, each, **attributes)
    route()


def listened(*words: str) -> tuple[str, str]:
    """What a command that ends by itself wrote to standard output and error."""
    out, err = StringIO(), StringIO()
    call_command("listen", *words, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@contextmanager
def listening(*words: str) -> Iterator[tuple[StringIO, StringIO]]:
    """A command that goes on, until the end of the block."""
    out, err = StringIO(), StringIO()
    failed: list[CommandError] = []
    over = threading.Event()
    wait = following.sleep

    def sleep(seconds: float) -> None:
        if over.is_set():
            raise KeyboardInterrupt
        wait(min(seconds, 0.05))

    def run() -> None:
        try:
            call_command("listen", *words, stdout=out, stderr=err)
        except CommandError as error:
            failed.append(error)
        finally:
            connections.close_all()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following, "sleep", sleep)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield out, err
        finally:
            over.set()
            thread.join(60)
    assert not thread.is_alive()
    assert failed == []


def bodies(receiver: Receiver) -> list[Any]:
    return [json.loads(received.body)["data"] for received in receiver.received]


def genuine(received: Received) -> bool:
    return bool(Webhook(SECRET).verify(received.body, received.headers))


def test_the_last_events_of_these_types_are_shown_and_it_ends(live_server: Any) -> None:
    publish_some(1, 2, subject="one")
    publish_some(3, type="other.happened")
    publish_some(4, subject="two")

    out, err = listened(
        "--url", live_server.url, "--types", "thing.*", "--replay", "2", "--once"
    )

    numbers = EventRecord.objects.order_by("number").values_list("number", flat=True)
    lines = [line.split(" ", 1)[1] for line in out.splitlines()]
    assert lines == [
        f"#{numbers[1]} thing.happened one",
        f"#{numbers[3]} thing.happened two",
    ]
    assert err == ""


def test_new_events_are_posted_as_a_webhook_gets_them(
    live_server: Any, receiver: Receiver
) -> None:
    publish_some("before")
    with listening(receiver.url, "--url", live_server.url, "--replay", "1") as (out, _):
        wait_until(lambda: bodies(receiver) == ["before"])
        publish_some("é", b"\x00", None, subject="later")
        wait_until(lambda: len(receiver.received) == 4)
        wait_until(lambda: out.getvalue().count("→ 204") == 4)

    assert all(map(genuine, receiver.received))
    origins = [each.headers["router-origin"] for each in receiver.received]
    assert origins == ["replay", "live", "live", "live"]
    events = EventRecord.objects.order_by("position")
    for event, received in zip(events, receiver.received, strict=True):
        assert json.loads(received.body) == event.to_event().to_cloudevent()
        assert received.headers["router-position"] == str(event.position)


def test_a_request_is_that_of_the_routers_own_webhook(
    live_server: Any, receiver: Receiver, settings: Any
) -> None:
    """All but what differs with each attempt."""
    settings.ROUTER = {**settings.ROUTER, "WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"]}
    webhook_subscriber(receiver.url)
    publish_some("é", subject="one", extensions={"tenant": "north"})
    deliver_due()
    listened(receiver.url, "--url", live_server.url, "--replay", "1", "--once")

    webhook, posted = receiver.received
    assert posted.body == webhook.body
    changing = {
        "host",
        "connection",
        "webhook-signature",
        "webhook-timestamp",
        "router-origin",
        "accept",
    }
    own, others = (
        {name: each.headers[name] for name in each.headers.keys() - changing}
        for each in (posted, webhook)
    )
    assert own == others


def test_it_leaves_nothing_behind_and_owes_nothing(
    live_server: Any, receiver: Receiver
) -> None:
    publish_some(1, 2)
    listened(receiver.url, "--url", live_server.url, "--replay", "2", "--once")
    assert len(receiver.received) == 2
    assert not Subscriber.objects.exists()
    assert not Delivery.objects.exists()


def test_a_refusal_is_shown_and_the_next_event_goes_on(
    live_server: Any, receiver: Receiver
) -> None:
    publish_some(1, 2)
    receiver.behave = status(500, body=b"no \x1b[31mstock\nat all")
    out, _ = listened(receiver.url, "--url", live_server.url, "--replay", "2", "--once")
    assert out.count("→ 500 no [31mstock in") == 2


def test_nobody_listening_there_is_shown(live_server: Any) -> None:
    publish_some(1)
    nowhere = f"http://127.0.0.1:{free_port()}/"
    out, _ = listened(nowhere, "--url", live_server.url, "--replay", "1", "--once")
    assert "→ no answer: [Errno 111] Connection refused" in out


def test_whole_events_are_json_lines(live_server: Any, receiver: Receiver) -> None:
    publish_some({"size": "gro\u00df"})
    out, err = listened(
        receiver.url, "--url", live_server.url, "--replay", "1", "--once", "--json"
    )
    event = EventRecord.objects.get()
    [line] = out.splitlines()
    shown = json.loads(line)
    assert (shown["number"], shown["position"]) == (event.number, event.position)
    assert shown["event"] == event.to_event().to_cloudevent()
    assert "→ 204" in err


def test_it_outlives_a_lost_connection_and_misses_nothing(
    line: Line, receiver: Receiver
) -> None:
    with listening(receiver.url, "--url", line.url) as (_, err):
        wait_until(lambda: line.request_count > 2)
        line.cuts_before = 3
        publish_some(1, 2)
        wait_until(lambda: "Trying again" in err.getvalue())
        publish_some(3)
        wait_until(lambda: len(receiver.received) == 3)
        line.refusals = [(503, {})]
        publish_some(4)
        wait_until(lambda: len(receiver.received) == 4)
        wait_until(lambda: err.getvalue().count("It answers again") == 2)

    assert bodies(receiver) == [1, 2, 3, 4]
    assert err.getvalue().count("Trying again") == 2


def test_a_secret_is_made_and_shown_where_none_is_given(
    live_server: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FANFARE_SIGNING_SECRET")
    publish_some(1)
    _, err = listened(receiver.url, "--url", live_server.url, "--replay", "1", "--once")
    secret = next(word for word in err.split() if word.startswith("whsec_"))
    [received] = receiver.received
    assert Webhook(secret.rstrip(":")).verify(received.body, received.headers)


def test_the_key_may_stand_in_a_file(
    live_server: Any, tmp_path: Any, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FANFARE_API_KEY")
    path = tmp_path / "key"
    path.write_text(f"{key}\n")
    publish_some(1)
    words = ["--url", live_server.url, "--replay", "1", "--once"]
    out, _ = listened(*words, "--key-file", str(path))
    assert "thing.happened" in out


@pytest.mark.parametrize(
    ("words", "environment", "message"),
    [
        ([], {"FANFARE_API_KEY": ""}, "No API key: set FANFARE_API_KEY"),
        (["--key-file", "nowhere"], {}, "--key-file"),
        ([], {"FANFARE_API_KEY": "unknown"}, "401.*needs the scope manage"),
        (["ftp://127.0.0.1"], {}, "URL must be http"),
        (
            ["http://127.0.0.1"],
            {"FANFARE_SIGNING_SECRET": "x"},
            "begin with whsec_",
        ),
        (["--types", "a*b"], {}, "--types"),
    ],
)
def test_what_is_wrong_is_named(
    live_server: Any,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    environment: dict[str, str],
    message: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match=message):
        listened(*words, "--url", live_server.url, "--once")


def test_a_key_without_the_scope_is_told_so(
    live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ApiKey.make("publisher", scopes=[Scope.PUBLISH])[1]
    monkeypatch.setenv("FANFARE_API_KEY", key)
    with pytest.raises(CommandError, match=r"403.*needs the scope manage"):
        listened("--url", live_server.url, "--once")
