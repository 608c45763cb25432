"""What the API refuses of an envelope, in every mode, and how it says so."""

from __future__ import annotations

from typing import Any

import pytest

from router.models import EventRecord, Scope
from tests.integration.api import (
    STRUCTURED,
    Get,
    Post,
    a_key,
    an_envelope,
    assert_problem,
    send,
)

pytestmark = pytest.mark.django_db
BATCH = "application/cloudevents-batch+json"

REFUSED = [
    ({"ext": "\ud800"}, "/ext"),
    ({"ext": "a\u0000"}, "/ext"),
    ({"ext": "\u0085"}, "/ext"),
    ({"ext": "\ufffe"}, "/ext"),
    ({"ext": 2**31}, "/ext"),
    ({"ext": -(2**31) - 1}, "/ext"),
    ({"ext": 10**400}, "/ext"),
    ({"ext": 1.5}, "/ext"),
    ({"ext": 2.0**31}, "/ext"),
    ({"ext": 1e300}, "/ext"),
    ({"ext": []}, "/ext"),
    ({"EXT": "x"}, "/EXT"),
    ({"e/x~t": "x"}, "/e~1x~0t"),
    ({"\ud800": "x"}, "/\ufffd"),
    ({"source": "ht!tp://["}, "/source"),
    ({"source": "my shop"}, "/source"),
    ({"source": "%zz"}, "/source"),
    ({"source": "/ROUTER"}, "/source"),
    ({"type": "router.failed_task.opened"}, "/type"),
    ({"type": "Router"}, "/type"),
    ({"type": "a\u007fb"}, "/type"),
    ({"dataschema": "purchase/1"}, "/dataschema"),
    ({"time": "2026-W06-2T04:05:06Z"}, "/time"),
    ({"time": "2026-02-03T04:05:06,5Z"}, "/time"),
    ({"time": ""}, "/time"),
    ({"time": "\ud800"}, "/time"),
    ({"time": "2026-02-03T04:05:06Z\udfff"}, "/time"),
    ({"id": ""}, "/id"),
]


@pytest.mark.parametrize(("changes", "pointer"), REFUSED)
def test_a_bad_event_refuses_its_batch_and_is_named(
    post: Post, changes: dict[str, Any], pointer: str
) -> None:
    batch = [an_envelope(id="good"), an_envelope(**changes), an_envelope(id="fine")]

    problem = assert_problem(post(batch, BATCH), 422)

    assert [error["pointer"] for error in problem["errors"]] == [f"/1{pointer}"]
    assert not EventRecord.objects.exists()


@pytest.mark.parametrize("scopes", [[Scope.PUBLISH], list(Scope)])
def test_no_key_publishes_an_event_of_the_router(
    client: Any, scopes: list[Scope]
) -> None:
    key = a_key(*scopes, sources=["*"], types=["router.*"])
    event = an_envelope(type="router.failed_task.opened")

    response = send(client, "POST", "events/", event, key=key, content_type=STRUCTURED)

    assert_problem(response, 422)
    assert not EventRecord.objects.exists()


@pytest.mark.parametrize(
    ("sent", "kept"), [(7.0, 7), (-0.0, 0), (2.0**31 - 1, 2**31 - 1)]
)
def test_a_number_without_a_fraction_is_an_integer(
    post: Post, sent: float, kept: int
) -> None:
    assert post(an_envelope(n=sent)).status_code == 202
    assert post(an_envelope(n=kept)).status_code == 200
    [event] = EventRecord.objects.all()
    assert repr(event.extensions["n"]) == repr(kept)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "OrderCreated"},
        {"type": "a/b c", "source": "urn:x:y"},
        {"ext": "ü😀", "n": -(2**31), "yes": False, "e" * 100: ""},
        {"time": "2016-12-31T23:59:60Z"},
        {"time": "2026-02-03T04:05:06.123456789Z"},
        {"dataschema": "urn:x:y"},
        {"subject": "a b\u00a0c"},
    ],
)
def test_a_valid_envelope_comes_back_as_it_was_sent(
    post: Post, get: Get, changes: dict[str, Any]
) -> None:
    number = post(an_envelope(**changes)).json()["number"]

    kept = get(f"events/{number}/").json()["event"]

    assert {name: kept[name] for name in changes} == changes
