"""What a process of its own does: with a collector, without one, without the extra."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from opentelemetry.sdk.trace.export import SpanExportResult

from config.env import BASE_DIR
from router.celery_settings import DEFAULTS
from router.messaging.broker import Doorbell, Message
from router.models import Subscriber
from router.public import subscriber
from router.testing import isolated_subscribers, register_declared, route
from router.tracing import spans
from router.tracing.starting import Exporter
from tests.contract.steps import TYPE, fates, publish_events
from tests.servers.celery_worker import celery_worker
from tests.servers.collector import Collector
from tests.servers.waiting import wait_until
from tests.traces import id_of, recorded

# Each starts a program.
pytestmark = pytest.mark.long

#: Publishes nothing: the door alone.
PUBLISHING = """
import sys
import django
django.setup()
from router.tracing import spans
with spans.publishing("thing.happened", parent="") as own:
    print("own", own)
print("loaded", any(name.startswith("opentelemetry") for name in sys.modules))
"""
#: As where the extra was never installed.
WITHOUT_EXTRA = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
"""
CHECKING = """
from django.core.management import call_command
call_command("check")
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    untouched = {
        name: value for name, value in os.environ.items() if name[:5] != "OTEL_"
    }
    settings = {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONDEVMODE": ""}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=BASE_DIR,
        env={**untouched, **settings, **environment},
        check=True,
        capture_output=True,
        text=True,
    )


def test_without_the_variables_nothing_of_the_library_is_imported() -> None:
    assert run(PUBLISHING).stdout.splitlines() == ["own ", "loaded False"]


def test_without_the_extra_nothing_is_recorded_and_a_check_says_so() -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    completed = run(WITHOUT_EXTRA + PUBLISHING + CHECKING, **asked)

    assert completed.stdout.splitlines()[:2] == ["own ", "loaded False"]
    assert "router.W040" in completed.stderr
    assert "pip install 'django-fanfare[otel]'" in completed.stderr


def test_a_protocol_that_is_not_spoken_is_named(collector: Collector) -> None:
    asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    protocol = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    code = "import django\ndjango.setup()\n" + CHECKING

    assert "router.W041" in run(code, **asked, **protocol).stderr
    assert "router.W04" not in run(code, **asked).stderr


def test_a_process_sends_its_spans_when_it_ends(collector: Collector) -> None:
    completed = run(PUBLISHING, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)

    [span] = collector.spans
    assert completed.stdout.startswith(f"own {span.traceparent}")
    assert (span.name, span.service) == ("publish thing.happened", "fanfare")


def test_a_service_has_the_name_that_it_is_given(collector: Collector) -> None:
    named = {"OTEL_SERVICE_NAME": "fanfare-web"}
    run(PUBLISHING, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **named)

    assert [span.service for span in collector.spans] == ["fanfare-web"]


def test_a_collector_that_is_away_fails_nothing(free_port: int) -> None:
    away = f"http://127.0.0.1:{free_port}"
    completed = run(PUBLISHING, OTEL_EXPORTER_OTLP_ENDPOINT=away)

    assert completed.stdout.startswith("own 00-")


def test_an_ending_process_begins_no_more_batches(collector: Collector) -> None:
    """A collector that does not answer would hold it up, batch after batch."""
    exporter = Exporter(endpoint=f"{collector.url}/v1/traces")
    with recorded() as traces, spans.serving("GET", ""):
        pass

    exporter.export(traces.all)
    exporter.ends_at = time.monotonic()
    result = exporter.export(traces.all)
    exporter.shutdown()

    assert result is SpanExportResult.FAILURE
    assert len(collector.spans) == 1


def test_a_library_that_can_not_start_fails_nothing() -> None:
    """A batch that is larger than the queue is refused."""
    asked = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_BSP_MAX_QUEUE_SIZE": "1"}
    completed = run(PUBLISHING, **asked)

    assert completed.stdout.splitlines()[0] == "own "
    assert "No traces are recorded" in completed.stderr


def test_a_project_keeps_its_own_provider() -> None:
    own = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
trace.set_tracer_provider(provider)
"""
    completed = run(own + PUBLISHING, OTEL_TRACES_EXPORTER="otlp")

    assert '"name": "publish thing.happened"' in completed.stdout


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_that_stops_sends_what_its_pool_recorded(
    pool: str, tmp_path: Path, broker_url: str, collector: Collector
) -> None:
    """A child of a pool ends without what other processes do at their end."""
    environment = {
        "ROUTER": '{"handlers": ["tests.integration.traced_handler"]}',
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        # Nothing is sent before the end.
        "OTEL_BSP_SCHEDULE_DELAY": "3600000",
    }
    with isolated_subscribers():
        # Imported here, it would stay declared in all tests of this process.
        subscriber("traced", events=[TYPE])(lambda event: None)
        register_declared()
        with recorded() as traces:
            publish_events(2)
        route()
        with celery_worker(tmp_path, broker_url, pool=pool, environment=environment):
            ring(broker_url, Subscriber.objects.get().pk)
            wait_until(lambda: fates() == ["ACKNOWLEDGED"] * 2)
            assert collector.spans == []

    published = {f"{id_of(span):016x}" for span in traces.of(f"publish {TYPE}")}
    runs = collector.of("process traced")
    assert {span.parent_id for span in runs} == published


def ring(broker_url: str, subscriber_id: int) -> None:
    with Celery("test", broker=broker_url, set_as_current=False) as app:
        app.add_defaults(lambda: DEFAULTS)
        doorbell = Doorbell(app)
        doorbell.send([Message(queue="default", subscriber_id=subscriber_id, ids=())])
        doorbell.close()
