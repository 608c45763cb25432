"""How one subscriber does: on its page, and over the API."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from router.admin.subscriber import figures
from router.admin.subscriber.snippet import snippet
from router.models import (
    Acknowledgement,
    Attempt,
    Cursor,
    Measure,
    Rollup,
    Span,
    Subscriber,
    Transport,
)
from router.observe import attempts
from router.observe.attempts import last_tried
from tests.integration.api import a_key, send
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import a_viewer

pytestmark = pytest.mark.usefixtures("empty_router")


@pytest.fixture
def erp(empty_router: None) -> Subscriber:
    return a_subscriber(
        "erp",
        transport=Transport.WEBHOOK,
        url="https://erp.example/hooks",
        events=["purchase.*"],
    )


def an_attempt(row: Subscriber, result: str = "ACKNOWLEDGED", **fields: Any) -> Attempt:
    delivery = a_delivery(an_event(), row, last_failed_at=timezone.now(), attempts=1)
    defaults = {"number": 1, "ended_at": timezone.now(), "duration_ms": 12.0}
    return Attempt.objects.create(
        delivery=delivery, result=result, **{**defaults, **fields}
    )


def refused(row: Subscriber, **fields: Any) -> Attempt:
    answer = {"http_status": 422, "answer": "unknown currency XXX in line 3\nmore"}
    return an_attempt(row, "RETRY", error="HttpStatus: 422", **answer, **fields)


def counted(row: Subscriber, measure: Measure, label: str, count: int) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    Rollup.objects.create(
        span=Span.HOUR,
        began_at=hour - timedelta(hours=1),
        measure=measure,
        subscriber_id=row.pk,
        label=label,
        count=count,
    )


@pytest.fixture
def counts(erp: Subscriber) -> None:
    counted(erp, Measure.ATTEMPTS, "acknowledged", 90)
    counted(erp, Measure.ATTEMPTS, "retry", 30)
    counted(erp, Measure.PUBLISH_TO_ACK, "0.1", 90)
    other = a_subscriber("other")
    counted(other, Measure.ATTEMPTS, "retry", 900)


def get(client: Client, path: str, status: int = 200) -> Any:
    answer = send(client, "GET", f"subscribers/erp/{path}", key=a_key("manage"))
    assert answer.status_code == status, answer.content
    return answer.json()


@pytest.mark.usefixtures("counts")
def test_the_statistics_tell_rates_percentiles_and_backlog(
    client: Client, erp: Subscriber
) -> None:
    refused(erp)
    found = get(client, "statistics/")
    assert found["attempts"] == {"acknowledged": 90, "retry": 30}
    assert found["success_rate"] == 0.75
    assert found["acknowledged_per_second"] == pytest.approx(90 / found["seconds"])
    assert found["latency_seconds"]["p50"] == pytest.approx(0.075)
    assert found["backlog"] == {"moving": 1, "waiting": 0, "held": 0}
    assert 0 <= found["oldest_owed_seconds"] < 60
    # Nothing of it counts as a failure: the event waits for its first attempt.
    assert found["last_error"] == ""
    erp.deliveries.update(failures=1)
    assert get(client, "statistics/")["last_error"] == (
        "HTTP 422: unknown currency XXX in line 3"
    )


def test_without_attempts_nothing_is_known(client: Client, erp: Subscriber) -> None:
    found = get(client, "statistics/?window=hour")
    assert found["success_rate"] is None
    assert set(found["latency_seconds"].values()) == {None}
    assert (found["seconds"], found["oldest_owed_seconds"]) == (3600, None)
    get(client, "statistics/?window=year", status=400)


def test_attempts_are_listed_by_result_and_time(
    client: Client, erp: Subscriber
) -> None:
    hour_ago = timezone.now() - timedelta(hours=1)
    old = an_attempt(erp, ended_at=hour_ago)
    failed = refused(erp)
    an_attempt(a_subscriber("other"))
    assert [each["id"] for each in get(client, "attempts/")["results"]] == [
        failed.pk,
        old.pk,
    ]
    (found,) = get(client, "attempts/?result=RETRY")["results"]
    assert found["answer"].startswith("unknown currency XXX")
    assert (found["http_status"], found["duration_ms"]) == (422, 12.0)
    since = (hour_ago + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for query, attempt in (("since", failed), ("until", old)):
        page = get(client, f"attempts/?{query}={since}")
        assert [each["id"] for each in page["results"]] == [attempt.pk]


@pytest.mark.parametrize(
    ("quiet", "count"),
    # A busy neighbour's attempts come after those of a quiet subscriber.
    [(2, 2), (9, 4)],
    ids=["a busy one has the newest alone", "a quiet one has its older ones too"],
)
def test_what_is_looked_at(
    erp: Subscriber, monkeypatch: pytest.MonkeyPatch, quiet: int, count: int
) -> None:
    monkeypatch.setattr(attempts, "LOOK_BACK", 4)
    monkeypatch.setattr(attempts, "QUIET", quiet)
    neighbour = a_subscriber("neighbour")
    for row in (erp, neighbour, neighbour, erp, erp, neighbour):
        an_attempt(row)
    given_up = a_delivery(an_event(type="other.type"), erp, "DEAD")
    a_failed_task(given_up)
    given_up.attempt_log.create(number=1, result="DEAD", ended_at=timezone.now())
    an_attempt(neighbour)
    done = erp.deliveries.order_by("pk").values("pk")[:1]
    erp.deliveries.filter(pk__in=done).update(state="ACKNOWLEDGED", last_failed_at=None)
    assert len(last_tried(erp, 20)) == count


def test_chunks_stand_among_the_attempts(erp: Subscriber) -> None:
    an_attempt(erp, ended_at=timezone.now() - timedelta(minutes=2))
    refused(erp)
    cursor, _ = Cursor.objects.get_or_create(
        subscriber=erp, run=0, defaults={"start": 0, "position": 9}
    )
    Acknowledgement.objects.create(
        cursor=cursor,
        first=3,
        last=9,
        count=7,
        acknowledged_at=timezone.now() - timedelta(minutes=1),
    )
    tried = last_tried(erp, 20)
    assert [(each.count, each.result) for each in tried] == [
        (1, "RETRY"),
        (7, "ACKNOWLEDGED"),
        (1, "ACKNOWLEDGED"),
    ]
    assert last_tried(erp, 1) == tried[:1]


@pytest.mark.usefixtures("counts")
def test_the_page_shows_figures_charts_and_the_last_attempts(erp: Subscriber) -> None:
    refused(erp)
    address = reverse("admin:router_subscriber_change", args=[erp.pk])
    page = " ".join(a_viewer().get(address).content.decode().split())
    assert "<dt>Success rate of attempts</dt><dd>75.0 %</dd>" in page
    assert "<dt>p50 (estimated)</dt><dd>75 ms</dd>" in page
    assert "HTTP 422: unknown currency XXX in line 3" in page
    assert '<a href="?window=day" aria-current="true">' in page
    assert "Published" not in page


def test_the_charts_begin_at_an_hour_while_something_is_wrong(erp: Subscriber) -> None:
    Subscriber.objects.update(breaker="open", incident_since=timezone.now())
    address = reverse("admin:router_subscriber_change", args=[erp.pk])
    page = a_viewer().get(address).content.decode()
    assert '<a href="?window=hour" aria-current="true">' in page


def test_the_attempts_of_a_day_are_a_list_of_their_own(
    erp: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "ON_PAGE", 2)
    an_attempt(erp, ended_at=timezone.now() - timedelta(hours=25))
    refused(erp)
    for _ in range(2):
        an_attempt(erp)
    address = reverse("admin:router_subscriber_attempts", args=[erp.pk])
    viewer = a_viewer()

    def results(query: str) -> list[str]:
        return [each.result for each in viewer.get(address + query).context["tried"]]

    assert results("") == ["ACKNOWLEDGED", "ACKNOWLEDGED"]
    assert 'href="?page=2"' in viewer.get(address).content.decode()
    assert results("?page=2") == ["RETRY"]
    assert results("?failed=1") == ["RETRY"]
    assert results("?page=nonsense") == results("")


def test_the_snippet_adds_the_same_without_its_secrets(
    client: Client, erp: Subscriber
) -> None:
    erp.address = "https://erp.example/hooks?token=secret"
    erp.title = "Warehouse's ERP"
    erp.events = ["purchase.completed"]
    erp.dataschemas = {"purchase.completed": "urn:fanfare:purchase.completed:1"}
    erp.save()
    words = shlex.split(snippet(erp).replace("\\\n", " "))
    body = json.loads(words[words.index("-d") + 1])
    assert body["title"] == "Warehouse's ERP"
    assert body["dataschemas"] == erp.dataschemas
    assert "secret" not in snippet(erp)
    again = {**body, "name": "again", "url": "https://erp.example/hooks"}
    key = a_key("manage")
    answer = send(client, "POST", "subscribers/", json.dumps(again), key=key)
    assert answer.status_code == 201, answer.content


def test_the_snippet_of_a_handler_is_its_declaration() -> None:
    pins = {"purchase.completed": "urn:fanfare:purchase.completed:1"}
    handler = a_subscriber(
        "thank_you", events=["purchase.*"], filter={"exact": {}}, dataschemas=pins
    )
    code = snippet(handler)
    compile(code, "snippet", "exec")
    assert '@subscriber(\n    "thank_you",\n    events=["purchase.*"],' in code
    assert f"dataschemas={pins}," in code
