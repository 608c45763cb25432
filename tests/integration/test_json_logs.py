"""Log lines for programs: one JSON object each, with the ids that are known."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from config.env import Environment, read_environment
from config.log_format import JsonFormatter
from config.web.request_id import HEADER
from router.contract.log_ids import current_log_ids, log_ids
from router.models import Delivery, EventRecord
from router.public import Event, Reject
from router.tracing import spans
from tests.contract.steps import boom, drain, publish_events
from tests.receivers import Declare
from tests.traces import recorded, traceparent_of

logger = logging.getLogger("tests.json_logs")
MINE = "from-the.proxy_77"


class Lines:
    def __init__(self, written: io.StringIO) -> None:
        self._written = written

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._written.getvalue().splitlines()]

    def of(self, logger_name: str) -> list[dict[str, Any]]:
        return [line for line in self.all() if line["logger"] == logger_name]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What `LOG_FORMAT=json` writes."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield Lines(written)
    logging.getLogger().removeHandler(handler)


def test_a_line_is_an_object_with_time_level_logger_and_message(lines: Lines) -> None:
    logger.warning("Two\nlines of %s", "text")
    [line] = lines.all()
    assert datetime.fromisoformat(line.pop("time")).utcoffset() is not None
    assert line == {
        "level": "WARNING",
        "logger": "tests.json_logs",
        "message": "Two\nlines of text",
    }


def test_a_line_has_the_ids_of_the_span_at_work(lines: Lines) -> None:
    with recorded() as traces:
        with spans.serving("GET", ""):
            logger.warning("inner")
        logger.warning("outer")
    [span] = traces.all
    inner, outer = lines.all()
    ids = f"00-{inner['trace_id']}-{inner['span_id']}-"
    assert traceparent_of(span).startswith(ids)
    assert "trace_id" not in outer


def test_an_error_has_its_traceback_and_no_address_of_a_customer(lines: Lines) -> None:
    try:
        raise ValueError("no country for /orders/s3cret/")
    except ValueError:
        logger.exception("Refused /checkout/s3cret/")
    [line] = lines.all()
    assert line["traceback"].startswith("Traceback")
    assert "/orders/***/" in line["traceback"]
    assert "s3cret" not in json.dumps(line)


def test_ids_are_those_of_what_is_at_work(lines: Lines) -> None:
    with log_ids(subscriber="erp"):
        with log_ids(event=7, delivery=8):
            logger.warning("inner", extra={"delivery": 9})
        logger.warning("outer")
    assert current_log_ids() == {}
    inner, outer = ({**line, "time": ""} for line in lines.all())
    assert (inner["subscriber"], inner["event"], inner["delivery"]) == ("erp", 7, 9)
    assert "event" not in outer


def test_a_handler_logs_with_the_ids_of_its_delivery(
    lines: Lines, declare: Declare
) -> None:
    def log(event: Event) -> None:
        logger.info("at work")

    declare("well", behave=log, is_safe_concurrently=True)
    publish_events(2)
    drain()
    logged = lines.of("tests.json_logs")
    rows = Delivery.objects.filter(subscriber__name="well").order_by("pk")
    assert [(line["event"], line["delivery"]) for line in logged] == [
        (row.event_id, row.pk) for row in rows
    ]
    assert {line["subscriber"] for line in logged} == {"well"}


def test_a_handler_in_the_stream_logs_with_the_number_of_its_event(
    lines: Lines, declare: Declare
) -> None:
    declare("well", behave=lambda event: logger.info("at work"))
    publish_events(2)
    drain()
    logged = lines.of("tests.json_logs")
    numbers = EventRecord.objects.order_by("number").values_list("number", flat=True)
    assert [line["event"] for line in logged] == list(numbers)
    assert {line["subscriber"] for line in logged} == {"well"}


def test_the_line_of_a_failed_task_has_its_ids_and_no_data(
    lines: Lines, declare: Declare
) -> None:
    def reject(event: Event) -> None:
        raise Reject("the customer's own words")

    declare("ill", behave=reject)
    publish_events()
    drain()
    [line] = lines.of("router.flow.dead_letter")
    row = Delivery.objects.get(subscriber__name="ill")
    known = {"subscriber": "ill", "event": row.event_id, "delivery": row.pk}
    assert known.items() <= line.items()
    assert "words" not in json.dumps(lines.all())
    assert EventRecord.objects.count() >= 1


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        (MINE, True),
        ("0f8fad5b-d9cb-469f-a165-70867728950e", True),
        ("short", False),
        ("x" * 65, False),
        ("two words", False),
        ('quote"d-id', False),
        ("ünicode-id", False),
        (f"{MINE}\n", False),
        ("", False),
    ],
)
def test_a_request_has_the_id_of_its_client_where_it_is_one(
    given: str, *, is_kept: bool
) -> None:
    first, second = (
        Client().get("/healthz", headers={HEADER: given})[HEADER] for _ in range(2)
    )
    assert (first == given) == is_kept
    # Each one that is new is another one.
    assert (first == second) == is_kept
    assert given or len(first) == 32


@pytest.mark.django_db
def test_lines_of_a_request_have_its_id(lines: Lines, client: Client) -> None:
    """Django logs this one after the last middleware is through."""
    answer = client.get("/orders/s3cret/", headers={HEADER: MINE})
    assert answer.status_code == 404
    assert answer[HEADER] == MINE
    [line] = lines.of("django.request")
    assert line["request_id"] == MINE
    assert "s3cret" not in line["message"]


def test_a_page_that_fails_logs_with_its_id(
    lines: Lines, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.api.health.readiness", boom)
    client.raise_request_exception = False
    answer = client.get("/readyz", headers={HEADER: MINE})
    assert (answer.status_code, answer[HEADER]) == (500, MINE)
    assert {line.get("request_id") for line in lines.all()} == {MINE}


def test_the_format_is_text_unless_the_environment_asks_for_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Environment.model_fields["log_format"].default == "text"
    monkeypatch.setenv("LOG_FORMAT", "json")
    assert read_environment().log_format == "json"
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(Exception, match="LOG_FORMAT"):
        read_environment()
