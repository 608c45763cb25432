"""What staff see of bridges, and what a wrong setting of one says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from router.conf import conf
from router.contract.binding import Message
from router.flow.bridge import loop
from router.flow.bridge.intake import take_in
from router.flow.heartbeats import beat
from router.models import EventRecord, Heartbeat, IngressFailedTask
from router.transports import kinds
from router.transports.consumer import CALL_SECONDS, Incoming
from router.transports.kinds import find_bridge
from tests.integration.api import a_key, assert_problem, send
from tests.integration.staff import an_operator, messages_of

pytestmark = pytest.mark.usefixtures("empty_router")
FEED = {"from": "amqp", "url": "amqp://shop:sesame-7@mq.example", "queue": "orders"}


@pytest.mark.parametrize(
    ("bridge", "words"),
    [
        ({}, "from of legacy must be one of: amqp"),
        ({**FEED, "from": "fax"}, "from of legacy must be one of: amqp"),
        ({**FEED, "from": ["amqp"]}, "from of legacy must be one of: amqp"),
        ({**FEED, "queue": ""}, "queue of legacy"),
        ({**FEED, "url": "http://mq.example"}, "url of legacy must be amqp://"),
        ({**FEED, "exchange": "x"}, "exchange of legacy is unknown; there are: source"),
    ],
)
def test_a_wrong_setting_is_a_check_and_ends_the_command(
    bridge: dict[str, Any], words: str, settings: Any
) -> None:
    settings.ROUTER = {**settings.ROUTER, "BRIDGES": {"legacy": bridge}}

    messages = [each for each in run_checks() if each.id == "router.E030"]

    assert any(words in each.msg for each in messages), messages
    assert "sesame" not in str(messages)
    with pytest.raises(CommandError, match="legacy"):
        call_command("bridge", "legacy", skip_checks=True)


def test_a_bridge_that_is_not_there_is_named_with_those_that_are(settings: Any) -> None:
    settings.ROUTER = {**settings.ROUTER, "BRIDGES": {"legacy": FEED}}

    with pytest.raises(CommandError, match="there are: legacy"):
        call_command("bridge", "other")


def test_a_missing_library_is_a_check_and_ends_the_command(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROUTER = {**settings.ROUTER, "BRIDGES": {"legacy": FEED}}
    monkeypatch.setattr(kinds, "find_spec", lambda name: None)

    assert "router.W031" in {each.id for each in run_checks()}
    with pytest.raises(CommandError, match="pip install"):
        call_command("bridge", "legacy")


def test_the_dashboard_shows_each_bridge(settings: Any) -> None:
    settings.ROUTER = {**settings.ROUTER, "BRIDGES": {"legacy": FEED, "old": FEED}}
    details = {
        "bridge": "legacy", "from": "RabbitMQ", "is_connected": False,
        "per_minute": 1200, "waiting": 3, "last_error": "ConnectionError: closed",
        "failed_at": (timezone.now() - timedelta(minutes=3)).isoformat(),
    }  # fmt: skip
    beat("bridge@here:1", Heartbeat.Kind.BRIDGE, details=details)

    IngressFailedTask.objects.create(bridge="legacy", body=b"{", problem="no JSON")
    page = an_operator().get(reverse("admin:index")).content.decode()

    assert "1,200 in the last minute · 3 waiting at RabbitMQ" in page
    assert "last error 3 min ago: ConnectionError: closed" in page
    assert "Start `manage.py bridge old`" in page
    assert "1 message needs attention: no valid event" in page
    assert "Not connected" in page


class Unsteady:
    """A consumer whose first calls fail, each in other words; then nothing comes."""

    def __init__(self, failures: list[str], acts: list[str], stop: Event) -> None:
        self._failures, self._acts, self._stop = failures, acts, stop

    def receive(self, *, limit: int, wait_seconds: float) -> Sequence[Incoming]:
        self._acts.append("receive")
        if self._failures:
            raise ConnectionError(self._failures.pop(0))
        return []

    def acknowledge(self, incoming: Sequence[Incoming]) -> None:
        """Nothing was received."""

    def waiting(self) -> int | None:
        self._acts.append("waiting")
        self._stop.set()
        return None

    def close(self) -> None:
        self._acts.append("close")


def test_an_outage_is_one_warning_and_its_error_is_gone_with_it(
    settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And a heartbeat comes before each call that a frozen router would not answer."""
    settings.ROUTER = {**settings.ROUTER, "HEARTBEAT_SECONDS": 60}
    stop, acts = Event(), []
    consumer = Unsteady(["refused after 3 ms", "refused after 5 ms"], acts, stop)
    monkeypatch.setattr(loop, "open_consumer", lambda _: consumer)
    monkeypatch.setattr(loop, "RETRY_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(
        loop, "beat", lambda *_, details: acts.append(details["last_error"])
    )

    with caplog.at_level("INFO", logger="router.flow.bridge"):
        loop.BridgeLoop(find_bridge("legacy", {"legacy": FEED})).run(stop)

    assert [record.getMessage() for record in caplog.records] == [
        "Bridge legacy: ConnectionError: refused after 3 ms",
        "Bridge legacy takes messages again",
    ]
    assert acts == [
        *("receive", "ConnectionError: refused after 3 ms", "close"),
        *("receive", "ConnectionError: refused after 5 ms", "close"),
        *("receive", "", "waiting", "close"),
    ]


def test_a_call_of_a_frozen_router_ends_before_the_bridge_counts_as_dead() -> None:
    assert conf().stale_after_seconds > CALL_SECONDS


def test_each_message_that_is_no_event_is_kept_with_all_its_bytes() -> None:
    """They are acknowledged then: what is not kept is lost."""
    body = b"z" * (conf().max_batch_bytes + 1)
    feed = find_bridge("legacy", {"legacy": FEED}).feed

    def take(*ids: str) -> int:
        message = Message(body=body, content_type="text/plain")
        taken = [Incoming(message=message, id=id, name="", handle=None) for id in ids]
        return take_in("legacy", feed, taken).failed

    assert take("", "", "m1") == 3
    assert take("m1") == 1

    kept = IngressFailedTask.objects.order_by("pk")
    assert [task.message_id for task in kept] == ["", "", "m1"]
    assert {bytes(task.body) for task in kept} == {body}


def test_an_operator_corrects_a_message_and_publishes_it() -> None:
    task = IngressFailedTask.objects.create(
        bridge="legacy", body=b'{"n": 1}', content_type="application/json",
        name="order.placed", message_id="m-1", problem="The message has no `source`.",
    )  # fmt: skip
    client: Client = an_operator()
    page = reverse("admin:router_ingressfailedtask_change", args=[task.pk])
    publish = reverse("admin:router_ingressfailedtask_publish", args=[task.pk])
    shown = client.get(page).content.decode()
    assert "has no `source`" in shown
    assert "&quot;type&quot;: &quot;order.placed&quot;" in shown

    event = '{"specversion": "1.0", "id": "m-1", "source": %s, "type": "order.placed"}'
    for refused, words in (("{", "no JSON"), (event % '""', "must not be empty")):
        body = {"event": refused, "note": "fixed"}
        assert words in client.post(publish, body).content.decode()
    body = {"event": event % '"/old"', "note": "fixed"}
    done = client.post(publish, body, follow=True)

    assert "It is event #" in messages_of(done)
    assert EventRecord.objects.get().source == "/old"
    repeated = client.post(publish, body, follow=True)
    assert "Nothing was changed" in messages_of(repeated)
    assert EventRecord.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"[" * 100_000 + b"]" * 100_000, "application/json"),
        (b"z" * 8 * 1024 * 1024, "text/plain"),
        (b"z" * 8 * 1024 * 1024, "application/cloudevents+json"),
    ],
    ids=["nested", "long", "long and structured"],
)
def test_an_operator_can_discard_whatever_came(
    body: bytes, content_type: str, settings: Any
) -> None:
    settings.ROUTER = {
        **settings.ROUTER,
        "BRIDGES": {"legacy": {**FEED, "source": "/old"}},
    }
    task = IngressFailedTask.objects.create(
        bridge="legacy", body=body, content_type=content_type, problem="too much"
    )
    client = an_operator()
    page = client.get(reverse("admin:router_ingressfailedtask_change", args=[task.pk]))
    proposed = page.context["form"].initial["event"]
    assert "cloudevents" in content_type or '"source": "/old"' in proposed

    discard = reverse("admin:router_ingressfailedtask_discard", args=[task.pk])
    done = client.post(discard, {"event": proposed, "note": "rubbish"}, follow=True)

    assert "It is discarded" in messages_of(done)


def test_an_operator_discards_many_messages_at_once() -> None:
    tasks = [
        IngressFailedTask.objects.create(
            bridge="legacy", digest=str(n), body=b"{", problem=f"no JSON {n}"
        )
        for n in range(3)
    ]
    client, chosen = an_operator(), [task.pk for task in tasks[:2]]
    listed = reverse("admin:router_ingressfailedtask_changelist")

    asked = client.post(
        listed, {"action": "discard_selected", "_selected_action": chosen}
    )
    page = asked.content.decode()
    discard = reverse("admin:router_ingressfailedtask_discard_all")
    ids = {"ids": ",".join(map(str, chosen))}
    without = client.post(discard, ids).content.decode()
    done = client.post(discard, {**ids, "note": "noise"}, follow=True)
    repeated = client.post(discard, {**ids, "note": "noise"}, follow=True)

    assert "Discard 2 messages?" in page
    assert "no JSON 1" in page
    assert "Say why" in without
    assert "2 failed tasks discarded" in messages_of(done)
    assert "Nothing was changed" in messages_of(repeated)
    left = IngressFailedTask.objects.exclude(state="discarded").get()
    assert (left, left.state) == (tasks[2], "open")
    assert {task.settled_note for task in IngressFailedTask.objects.all()} == {
        "", "noise",
    }  # fmt: skip


def test_a_program_lists_messages_and_discards_one_once(client: Client) -> None:
    for n, name in enumerate(("legacy", "legacy", "old")):
        IngressFailedTask.objects.create(bridge=name, digest=str(n), body=b"{")
    key = a_key()
    [first, second] = send(
        client, "GET", "ingress-failed-tasks/?bridge=legacy", key=key
    ).json()["results"]
    discard = f"ingress-failed-tasks/{first['id']}/discard/"

    done = send(client, "POST", discard, {"note": "noise"}, key=key).json()
    again = send(client, "POST", discard, {"note": "noise"}, key=key)
    left = send(
        client, "GET", "ingress-failed-tasks/?bridge=legacy&state=open", key=key
    ).json()["results"]

    assert (done["state"], done["note"]) == ("discarded", "noise")
    assert "Nothing was changed" in assert_problem(again, 409)["detail"]
    assert left == [second]
