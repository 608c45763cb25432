"""A receiver that lost data learns what it lacks by digests, and gets exactly that."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from router.client import Client as RouterClient
from router.client import Invalid, Missing, reconcile
from router.client.calls import Calls
from router.contract.digest import digest_of, digest_text
from router.models import EventRecord, LogHead, Run, RunState, Subscriber
from router.observe import digests
from router.observe.digests import MAX_POSITIONS, window_of
from router.operate.runs import cancel_run
from router.operate.subscribers import create_subscriber, edit_subscriber
from router.operate.test_event import send_test_event
from router.public import publish
from router.testing import deliver_due
from tests.contract.past_facts import imported
from tests.contract.steps import TYPE, Subscribe, publish_and_route
from tests.integration.api import a_key, assert_problem, send
from tests.servers.receiving import Receiver, status

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.one_database]
A_ALONE = {"exact": {"data.who": "a"}}
PATH = "subscribers/erp/digest/"
#: Position, source, id.
Held = tuple[int, str, str]


@pytest.fixture(autouse=True)
def nobody(db: None) -> None:
    Subscriber.objects.all().delete()


def erp(**fields: Any) -> Subscriber:
    fields = {"transport": "pull", "events": [TYPE], **fields}
    return create_subscriber("erp", by="test", **fields).subscriber


def ask(*, scope: str = "consume", **query: Any) -> Any:
    text = "&".join(f"{name.strip('_')}={value}" for name, value in query.items())
    return send(Client(), "GET", f"{PATH}?{text}", key=a_key(scope))


def asked(**query: Any) -> dict[str, Any]:
    response = ask(**query)
    assert response.status_code == 200, response.content
    shown: dict[str, Any] = response.json()
    return shown


def refused(pointer: str, **query: Any) -> str:
    [error] = assert_problem(ask(**query), 400)["errors"]
    assert error["pointer"] == pointer
    return str(error["detail"])


def in_log(**fields: Any) -> list[Held]:
    rows = EventRecord.objects.filter(position__isnull=False, **fields)
    names = rows.order_by("position").values_list("position", "source", "event_id")
    return [(position or 0, source, id) for position, source, id in names]


def digest(held: list[Held]) -> str:
    return digest_text(digest_of((source, id) for _, source, id in held))


def owed(subscriber: Subscriber) -> set[int]:
    """The positions that count, one part each."""
    window = window_of(subscriber, last=LogHead.objects.get().position)
    return {part.first for part in window.parts if part.count}


class Router(Calls):
    """The calls of the client, answered without a network."""

    def __init__(self) -> None:
        self.count = 0

    def get(self, path: str, *, patience_seconds: float) -> dict[str, Any]:
        self.count += 1
        response = send(Client(), "GET", path, key=a_key("consume"))
        if response.status_code != 200:
            raise Invalid(str(response.json()), status=response.status_code)
        answer: dict[str, Any] = response.json()
        return answer


@pytest.fixture
def calls() -> Router:
    return Router()


@pytest.fixture
def router(calls: Router) -> RouterClient:
    client = RouterClient("http://127.0.0.1", "key")
    client._calls = calls
    return client


def test_a_window_has_count_and_digest_in_parts_of_one_size() -> None:
    erp()
    publish_and_route(130)
    publish("other.thing", {}, source="/test")
    deliver_due()

    shown = asked(_from=2, to=131)

    mine = in_log(type=TYPE)[1:]
    assert (shown["from"], shown["to"], shown["position"]) == (2, 131, 131)
    assert (shown["count"], shown["digest"]) == (129, digest(mine))
    assert [part["to"] - part["from"] for part in shown["parts"]] == [2] * 43 + [0]
    assert [part["count"] for part in shown["parts"]] == [3] * 43 + [0]
    for part in shown["parts"]:
        inside = [each for each in mine if part["from"] <= each[0] <= part["to"]]
        assert part["digest"] == digest(inside)
        assert part["event"] is None


def test_a_part_of_one_position_names_its_event() -> None:
    erp()
    publish_and_route(2)

    first, second = asked(to=2)["parts"]

    event = EventRecord.objects.get(position=1)
    assert first["event"].pop("time")
    assert first["event"] == {
        "number": event.number,
        "position": 1,
        "source": event.source,
        "id": event.event_id,
        "type": TYPE,
        "subject": "",
    }
    assert second["event"]["position"] == 2


def test_each_position_counts_by_what_was_asked_for_there() -> None:
    publish_and_route(1)
    row = erp(filter=A_ALONE)
    for who in "ab":
        publish(TYPE, {"who": who}, source="/test")
    deliver_due()
    edit_subscriber(row, by="test", events=["other.*"], filter=None)
    publish_and_route(1)
    publish("other.thing", {}, source="/test")
    deliver_due()
    send_test_event(row.pk, by="test")
    deliver_due()

    # From before it; asked for; filtered; of no type; of the new one; for it alone.
    assert owed(row) == {2, 5, 6}


def test_a_backfill_counts_as_far_as_it_is_meant_to_come() -> None:
    publish_and_route(6)
    row = erp(start={"position": 3})
    publish_and_route(1)
    assert owed(row) == {3, 4, 5, 6, 7}

    run = Run.objects.get()
    cancel_run(run.pk, by="test")

    assert run.state != RunState.CANCELLED
    assert owed(row) == {7}


def test_an_ordered_subscriber_is_owed_from_where_it_starts() -> None:
    publish_and_route(3)
    assert owed(erp(start={"position": 2}, ordering="key")) == {2, 3}


def test_nothing_is_owed_of_an_empty_log() -> None:
    erp()
    shown = asked()
    assert (shown["from"], shown["to"], shown["count"]) == (1, 0, 0)
    assert (shown["digest"], shown["parts"]) == ("0" * 16, [])


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"_from": 4, "to": 3}, "/to"),
        ({"to": 11}, "/to"),
        ({"_from": 11}, "/from"),
        ({"_from": 0}, "/from"),
        ({"_from": "x"}, "/from"),
        ({"to": 2**63}, "/to"),
        ({"until": 3}, "/until"),
        # Pruned.
        ({"_from": 2}, "/from"),
        ({"to": 2}, "/to"),
    ],
)
def test_a_window_that_is_none_is_refused_with_a_pointer(
    query: dict[str, Any], pointer: str
) -> None:
    erp()
    publish_and_route(10)
    LogHead.objects.update(pruned_to=2)
    refused(pointer, **query)


def test_a_window_that_is_too_wide_is_refused_and_cut_where_its_end_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    erp()
    publish_and_route(10)
    monkeypatch.setattr(digests, "MAX_POSITIONS", 4)
    assert asked()["to"] == 4
    assert asked(_from=3)["to"] == 6
    assert asked(_from=7, to=10)["to"] == 10
    assert "in parts" in refused("/to", _from=3, to=7)


def test_a_window_that_is_pruned_while_it_is_read_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    erp()
    publish_and_route(3)
    count = digests._count

    def pruned(*arguments: Any) -> None:
        LogHead.objects.update(pruned_to=1)
        count(*arguments)

    monkeypatch.setattr(digests, "_count", pruned)
    refused("/from")


@pytest.mark.parametrize("fields", [{}, {"filter": A_ALONE}])
def test_the_statements_do_not_grow_with_the_events(fields: dict[str, Any]) -> None:
    row = erp(**fields)
    publish_and_route(3)
    few = statements(row)
    publish_and_route(300)

    assert statements(row) == few <= 7


def statements(row: Subscriber) -> int:
    with CaptureQueriesContext(connection) as made:
        window_of(row)
    return len(made)


def test_a_window_of_many_steps_is_read_step_by_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = erp()
    publish_and_route(30)
    whole = window_of(row)
    for module in ("router.flow.cursor.filling", "router.observe.digests"):
        monkeypatch.setattr(f"{module}.STEP", 7)

    assert window_of(row) == whole
    assert whole.count == 30


def test_a_receiver_learns_what_it_lacks_and_what_it_has_too_many(
    router: RouterClient, calls: Router
) -> None:
    erp()
    publish_and_route(3000)
    draw = random.Random(7)
    held = in_log()
    lost = sorted(draw.sample(held, 20))
    have = [each for each in held if each not in lost]
    extra = [(17, "/forged", "x"), have[40]]
    have += extra
    draw.shuffle(have)

    found = router.reconcile("erp", have)

    assert [(each.position, each.source, each.id) for each in found.missing] == lost
    assert sorted(found.extra) == sorted(extra)
    assert calls.count <= 1 + len(lost) + len(extra)


def test_what_is_the_same_takes_one_call(router: RouterClient, calls: Router) -> None:
    erp()
    publish_and_route(100)
    assert not router.reconcile("erp", in_log())
    assert calls.count == 1


def test_a_log_is_compared_window_by_window(
    router: RouterClient, calls: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    erp()
    publish_and_route(25)
    monkeypatch.setattr(digests, "MAX_POSITIONS", 10)
    monkeypatch.setattr(reconcile, "MAX_POSITIONS", 10)
    have = in_log()
    missing = [have.pop(3)[0], have.pop()[0]]
    windows: list[dict[str, int]] = [
        {},
        {"first": 2},
        {"last": 25},
        {"first": 1, "last": 25},
    ]

    for window in windows:
        found = router.reconcile("erp", have, **window)
        assert [each.position for each in found.missing] == missing
    assert not router.reconcile("erp", have, first=5, last=24)
    with pytest.raises(Invalid):
        router.reconcile("erp", have, first=5, last=4)


@pytest.mark.usefixtures("past")
def test_imports_are_compared_before_live_events(
    router: RouterClient, calls: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported(*range(25))
    publish_and_route(3)
    erp(start="beginning")
    publish_and_route(2)
    monkeypatch.setattr(digests, "MAX_POSITIONS", 10)
    monkeypatch.setattr(reconcile, "MAX_POSITIONS", 10)
    have = in_log(type=TYPE)
    missing = [have.pop(-1)[0], have.pop(3)[0]]

    found = router.reconcile("erp", have)

    assert sorted(each.position for each in found.missing) == sorted(missing)
    assert not found.extra
    again = router.reconcile("erp", have, first=missing[1], last=3)
    assert [each.position for each in again.missing] == missing[1:]


def test_the_client_and_the_router_know_the_same_limits_and_digests() -> None:
    held = [(1, "/a", "1"), (2, "https://b.example/ü", "2\n")]
    assert reconcile.digest_of(held) == digest(held)
    assert reconcile.MAX_POSITIONS == MAX_POSITIONS


def test_a_webhook_gets_again_exactly_what_it_lost(
    router: RouterClient, subscribe: Subscribe, receiver: Receiver
) -> None:
    receiver.behave = status(200)
    subscribe(receiver.url)
    publish_and_route(40)
    deliver_due()
    have = held_by(receiver)
    assert not router.reconcile("erp", have)
    lost, have = have[10:13], have[:10] + have[13:]

    missing = router.reconcile("erp", have).missing
    again(missing)

    assert sorted(held_by(receiver)[40:]) == sorted(lost)
    assert not router.reconcile("erp", have + held_by(receiver)[40:])


def held_by(receiver: Receiver) -> list[Held]:
    """What a receiver that keeps the position of each event knows."""
    events = [json.loads(each.body) for each in receiver.received]
    positions = [int(each.headers["router-position"]) for each in receiver.received]
    return [
        (position, event["source"], event["id"])
        for position, event in zip(positions, events, strict=True)
    ]


def again(missing: list[Missing]) -> None:
    body = {"kind": "replay", "events": [each.number for each in missing]}
    key = a_key("manage")
    response = send(Client(), "POST", "subscribers/erp/runs/", body, key=key)
    assert response.status_code == 201, response.content
    deliver_due()
