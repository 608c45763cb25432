"""How often a key may call, and how it is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from router.models import ApiKey
from router.models.api_key import digest
from router.operate.api_keys import count_call
from tests.integration.api import Post, an_envelope, assert_problem

pytestmark = pytest.mark.django_db
LEFT = "RateLimit-Remaining"


def test_every_answer_says_what_is_left(post: Post) -> None:
    ApiKey.objects.update(calls_per_minute=10)
    answers = [post(an_envelope()), post("{"), post("{}", "text/plain")]
    assert [answer.status_code for answer in answers] == [202, 400, 415]
    assert [answer["RateLimit-Limit"] for answer in answers] == ["10"] * 3
    assert [answer[LEFT] for answer in answers] == ["9", "8", "7"]
    assert all(1 <= int(answer["RateLimit-Reset"]) <= 60 for answer in answers)


def test_a_refusal_says_when_a_spent_key_may_come_again(post: Post) -> None:
    ApiKey.objects.update(calls_per_minute=1)
    post(an_envelope())
    refused = post(an_envelope(id="a-2"))
    assert "1 times a minute" in assert_problem(refused, 429)["detail"]
    assert refused[LEFT] == "0"
    assert refused["Retry-After"] == refused["RateLimit-Reset"]


def test_a_new_minute_counts_from_zero(post: Post) -> None:
    ApiKey.objects.update(calls_per_minute=1)
    post(an_envelope())
    assert_problem(post(an_envelope()), 429)
    ApiKey.objects.update(minute=1)
    assert post(an_envelope()).status_code == 200


def test_the_setting_holds_for_a_key_without_a_limit(post: Post, settings: Any) -> None:
    settings.ROUTER = settings.ROUTER | {"API_CALLS_PER_MINUTE": 2}
    answers = [post(an_envelope()).status_code for _ in range(3)]
    assert answers == [202, 200, 429]


def test_one_key_does_not_spend_another(post: Post, client: Client) -> None:
    ApiKey.objects.update(calls_per_minute=1)
    _, other = ApiKey.make("other", scopes=["manage"])
    post(an_envelope())
    answer = client.get(
        "/api/subscribers/", headers={"Authorization": f"Bearer {other}"}
    )
    assert answer.status_code == 200


def test_a_call_is_found_and_counted_in_one_statement(key: str) -> None:
    with CaptureQueriesContext(connection) as captured:
        counted = count_call(digest(key))
    assert counted
    assert len(captured) == 1


def test_publishing_takes_two_statements(post: Post) -> None:
    post(an_envelope())  # The first in a process reads the registered schemas.
    with CaptureQueriesContext(connection) as captured:
        assert post(an_envelope(id="a-2")).status_code == 202
    assert len(captured) == 2, [query["sql"] for query in captured]


def test_a_guess_writes_nothing(key: str) -> None:
    assert count_call(digest("fanfare_guess")) is None
    assert ApiKey.objects.get().calls_count == 0


def has_a_minute_ended(row: ApiKey) -> bool:
    """The threads took no more than seconds: at most one minute ended meanwhile."""
    counted = count_call(row.digest)
    return counted is not None and counted[1].reset_seconds > 40


@pytest.mark.django_db(transaction=True)
def test_calls_at_once_are_all_counted(key: str) -> None:
    def call(_: int) -> None:
        count_call(digest(key))
        connection.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(40)))
    row = ApiKey.objects.get()
    assert row.calls_count == 40 or has_a_minute_ended(row)


@pytest.mark.django_db(transaction=True)
def test_only_the_count_itself_is_committed_without_the_disk(key: str) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no such choice")

    def commits() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    usual = commits()
    with CaptureQueriesContext(connection) as captured:
        count_call(digest(key))
        assert "synchronous_commit" in captured[0]["sql"]
        assert commits() == usual
    with transaction.atomic():
        count_call(digest(key))
        assert commits() == usual
