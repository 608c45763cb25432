"""Batches of events: all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from router.flow.publish.publishing import publish_batch
from router.models import ApiKey, EventRecord
from tests.integration.api import Post, an_envelope, assert_problem

pytestmark = pytest.mark.django_db
BATCH = "application/cloudevents-batch+json"


def envelopes(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    """One event for each, told apart by its id."""
    return [an_envelope(**{"id": f"a-{n}", **each}) for n, each in enumerate(changes)]


def test_a_batch_is_recorded_in_its_order(post: Post) -> None:
    response = post(envelopes({}, {"type": "parcel.found"}, {}), BATCH)
    records = EventRecord.objects.order_by("number")
    assert response.status_code == 202
    assert response.json() == {
        "results": [
            {
                "number": record.number,
                "id": record.event_id,
                "source": "/partner",
                "status": 202,
            }
            for record in records
        ]
    }
    assert [record.event_id for record in records] == ["a-0", "a-1", "a-2"]


def test_what_was_recorded_before_has_a_status_of_its_own(post: Post) -> None:
    post(an_envelope(id="a-1"))
    first = post(envelopes({}, {}), BATCH)
    response = post(envelopes({}, {}), BATCH)
    assert (first.status_code, response.status_code) == (202, 200)
    assert [result["status"] for result in first.json()["results"]] == [202, 200]
    assert [result["status"] for result in response.json()["results"]] == [200, 200]


def test_the_same_event_twice_in_a_batch_is_recorded_once(post: Post) -> None:
    response = post(envelopes({"id": "same"}, {"id": "same"}), BATCH)
    results = response.json()["results"]
    assert [result["status"] for result in results] == [202, 200]
    assert results[0]["number"] == results[1]["number"]
    assert EventRecord.objects.count() == 1


def test_an_empty_batch_is_one(post: Post) -> None:
    response = post([], BATCH)
    assert (response.status_code, response.json()) == (200, {"results": []})


@pytest.mark.parametrize(
    ("wrong", "status", "pointer"),
    [
        ({"id": None}, 422, "/1/id"),
        ({"type": "parcel\nlost"}, 422, "/1/type"),
        ({"data": "\u0000"}, 422, "/1/data"),
        ({"data_base64": "eA=="}, 422, "/1/data_base64"),
        # The id is taken by another body.
        ({"id": "taken"}, 409, "/1"),
        ({"id": "a-0", "data": {}}, 409, "/1"),
        # A batch may be larger than one event, but no event of it.
        ({"data": "x" * 1024 * 1024}, 413, "/1"),
        ({"extension": "x" * 1024 * 1024}, 413, "/1"),
    ],
)
def test_one_wrong_event_and_nothing_is_recorded(
    post: Post, wrong: dict[str, Any], status: int, pointer: str
) -> None:
    post(an_envelope(id="taken", data="of another"))
    body = assert_problem(post(envelopes({}, wrong, {}), BATCH), status)
    assert pointer in [error["pointer"] for error in body["errors"]]
    assert [event.event_id for event in EventRecord.objects.all()] == ["taken"]


def test_each_wrong_event_is_pointed_at(post: Post) -> None:
    wrong = envelopes({}, {}, {"id": ""}, {"time": "now"}, {"e": "\ud800"})
    body = assert_problem(post(wrong, BATCH), 422)
    pointers = [error["pointer"] for error in body["errors"]]
    assert pointers == ["/2/id"]


@pytest.mark.parametrize("entry", [7, "text", None, [], {}])
def test_what_is_no_event_is_pointed_at(post: Post, entry: object) -> None:
    body = assert_problem(post([an_envelope(), entry], BATCH), 422)
    assert all(error["pointer"].startswith("/1") for error in body["errors"])


@pytest.mark.parametrize("body", ["{}", "7", "null"])
def test_a_batch_is_a_list(post: Post, body: str) -> None:
    assert_problem(post(body, BATCH), 422)


def test_data_that_breaks_its_schema_is_pointed_at(
    post: Post, settings: Any, tmp_path: Any
) -> None:
    schema = tmp_path / "parcel.json"
    schema.write_text(
        json.dumps({"$id": "urn:test:parcel:1", "properties": {"n": {"maximum": 9}}})
    )
    settings.ROUTER = settings.ROUTER | {"SCHEMAS": {"parcel.lost": [schema]}}
    sent = envelopes({"data": {"n": 9}}, {"data": {"n": 10}})
    body = assert_problem(post(sent, BATCH), 422)
    assert [error["pointer"] for error in body["errors"]] == ["/1/data/n"]
    assert not EventRecord.objects.exists()


def test_a_key_publishes_only_what_it_is_bound_to(post: Post) -> None:
    ApiKey.objects.update(sources=["/partner"], types=["parcel.*"])
    sent = envelopes({}, {"source": "/shop"}, {"type": "purchase.completed"})
    body = assert_problem(post(sent, BATCH), 403)
    assert [error["pointer"] for error in body["errors"]] == ["/1/source", "/2/type"]
    assert not EventRecord.objects.exists()


def test_a_batch_has_its_own_limits(post: Post, settings: Any) -> None:
    large = envelopes({"data": "x" * 700_000}, {"data": "x" * 700_000})
    assert post(large, BATCH).status_code == 202
    limits = {"MAX_BATCH_EVENTS": 2, "MAX_BATCH_BYTES": 65_536}
    settings.ROUTER = settings.ROUTER | limits
    assert_problem(post(envelopes({}, {}, {}), BATCH), 413)
    assert_problem(post(envelopes({"data": "x" * 65_536}), BATCH), 413)


@pytest.mark.django_db(transaction=True)
def test_batches_that_collide_are_both_recorded() -> None:
    """Each holds the event that the other wants next."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time: nobody can hold and want")
    barrier = Barrier(2, timeout=60)

    def publish(ids: str) -> list[bool]:
        entries = [{"type": "thing.happened", "data": {}, "id": name} for name in ids]
        with closing(connection), connection.execute_wrapper(meeting(barrier)):
            return [published.is_new for published in publish_batch(entries)]

    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(publish, ["ab", "ba"]))
    assert sorted(results) == [[False, False], [True, True]]
    assert EventRecord.objects.count() == 2


def meeting(barrier: Barrier) -> Callable[..., Any]:
    """Waits for the other thread after the first event of the first try."""
    inserted: list[str] = []

    def execute(run: Any, sql: str, *rest: Any) -> Any:
        result = run(sql, *rest)
        if sql.startswith("INSERT INTO"):
            inserted.append(sql)
            if len(inserted) == 1:
                barrier.wait()
        return result

    return execute
