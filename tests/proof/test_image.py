"""The image of `docker/Dockerfile`, built, and run as `docker/compose.yaml` runs it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any

import psutil
import pytest

from tests import containers
from tests.acceptance.purchases import purchase
from tests.servers.buildah import Image, built_image
from tests.servers.foreign import Received
from tests.servers.foreign_kafka import ForeignKafka, foreign_kafka
from tests.servers.pgbouncer import PgBouncer
from tests.servers.server import Server
from tests.servers.waiting import free_port, wait_until

pytestmark = [pytest.mark.timeout(1200), pytest.mark.xdist_group("image")]

STARTED_SECONDS = 120
STOPPED_SECONDS = 40
#: Those that need neither a mail server nor Slack.
REACHED = {"customer_profiles", "fulfilment", "inventory", "order_history"}
ACKNOWLEDGED = """
from router.models import Delivery, EventRecord
from router.observe.outcome import outcomes_of
events = list(EventRecord.objects.filter(subject="RS3X-M2QZ"))
rows = Delivery.objects.filter(event__in=events).select_related("subscriber")
found = outcomes_of(events, rows)
all_found = [*found.deliveries, *found.by_cursor]
print(*(each.subscriber.name for each in all_found if each.state == "ACKNOWLEDGED"))
"""
TAKEN_IN = """
from router.models import EventRecord
print(EventRecord.objects.filter(source="/kafka").exists())
"""
STYLESHEET = re.compile(r'href="(/static/[^"]+\.css)"')
#: Pages of each part of the docs that the image brings, and a picture.
DOCS = [
    "/docs/architecture/",
    "/docs/docker/",
    "/docs/changelog/",
    "/docs/files/docs/pictures/house.svg",
]


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    if not os.environ.get("BUILDAH"):
        pytest.skip("needs Buildah: run the proofs with `make proof`")
    with built_image() as built:
        yield built


@dataclass
class Composition:
    """The services of the compose file, in one container, on this machine's ports."""

    image: Image
    servers: dict[str, str]
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        self.services = containers.ours(containers.filled()["services"])

    @property
    def environment(self) -> dict[str, str]:
        """That of each of the services, on the tests' servers and a free port."""
        given = self.services["web"]["environment"]
        own = {"PORT": str(self.port), "LISTEN_ADDRESS": "127.0.0.1", **self.servers}
        return {**{name: str(value) for name, value in given.items()}, **own}

    def command(self, name: str) -> list[str]:
        return list(self.services[name].get("command", containers.image_command()))

    def run(self, *command: str) -> str:
        """What a command that ends well prints."""
        done = self.image.run(*command, **self.environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def passes(self, *command: str) -> bool:
        return self.image.run(*command, **self.environment).returncode == 0

    def start(self, name: str, stack: ExitStack) -> Server:
        server = self.image.start(name, self.command(name), self.environment)
        stack.callback(server.kill)
        return server

    def get(self, path: str) -> tuple[int, str]:
        """As the proxy asks that speaks TLS: status and body."""
        host = self.environment["ALLOWED_HOSTS"]
        headers = {"Host": host, "X-Forwarded-Proto": "https"}
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def what_is_missing(self) -> str:
        """The answer of `/readyz`; empty when all is ready."""
        try:
            status, body = self.get("/readyz")
        except OSError as error:
            return str(error)
        return "" if status == 200 else body


@pytest.fixture
def kafka() -> Iterator[ForeignKafka]:
    """What the bridge takes from."""
    with foreign_kafka() as cluster:
        yield cluster


@pytest.fixture
def feed(kafka: ForeignKafka) -> dict[str, Any]:
    """The setting of the bridge."""
    return kafka.make_feed()


@pytest.fixture
def composition(
    image: Image,
    pooler: PgBouncer,
    database: str,
    broker_url: str,
    feed: dict[str, Any],
) -> Composition:
    servers = {
        "DATABASE_URL": pooler.url(database),
        "DATABASE_POOLER": "true",
        "BROKER_URL": broker_url,
        "ROUTER": json.dumps({"bridges": {containers.BRIDGE: feed}}),
    }
    return Composition(image, servers)


def program(server: Server) -> psutil.Process:
    """The program itself, beneath Buildah's own processes."""
    process = psutil.Process(server.pid)
    while "buildah" in process.name():
        [process] = process.children()
    return process


def test_who_runs_the_image_is_not_root_and_may_not_change_it(image: Image) -> None:
    completed = image.run("sh", "-c", "id -u; touch /app/changed /opt/fanfare/changed")

    assert completed.stdout.split() == ["10001"]
    assert completed.stderr.count("Permission denied") == 2


def test_nothing_of_the_build_stays_in_the_image(image: Image) -> None:
    named = image.environment

    assert not (image.root / "etc/pip.conf").exists()
    assert not (image.root / "app/var/local.env").exists()
    assert not [each for each in named if re.search("KEY|SECRET|PASSWORD", each)]
    assert (image.root / "app/var/static/staticfiles.json").exists()
    # Who runs it may write no bytecode: it is there already.
    assert list((image.root / "app/router").glob("__pycache__/*.pyc"))


def test_without_its_secret_key_the_image_says_what_is_missing(image: Image) -> None:
    completed = image.run("python", "manage.py", "check")

    assert completed.returncode != 0
    assert "SECRET_KEY is not set" in completed.stderr


def test_the_composition_runs_from_the_image(
    composition: Composition, kafka: ForeignKafka, feed: dict[str, Any]
) -> None:
    prepared = composition.run(*composition.command("prepare"))
    assert "Applying router" in prepared

    with ExitStack() as stack:
        staying = set(composition.services) - {"prepare"}
        started = {name: composition.start(name, stack) for name in sorted(staying)}
        wait_until(lambda: not composition.what_is_missing(), STARTED_SECONDS)

        every_health_check_passes(composition)
        pages_have_their_style(composition)
        a_purchase_is_delivered(composition)
        a_record_of_kafka_is_taken_in(composition, kafka, feed)
        every_program_ends_when_it_is_asked_to(started)


def every_health_check_passes(composition: Composition) -> None:
    for service in composition.services.values():
        check = service.get("healthcheck", {}).get("test", [])
        if check:
            wait_until(lambda check=check: composition.passes(*check[1:]))
    wait_until(lambda: composition.passes("python", "manage.py", "alive", "web"))


def pages_have_their_style(composition: Composition) -> None:
    for path in DOCS:
        assert composition.get(path)[0] == 200, path
    for path in ("/", "/admin/login/", "/api/docs/", "/docs/"):
        status, page = composition.get(path)
        assert status == 200, page
        sheets = STYLESHEET.findall(page)
        assert sheets, path
        for sheet in sheets:
            assert composition.get(sheet)[0] == 200, sheet


def a_purchase_is_delivered(composition: Composition) -> None:
    event = purchase("RS3X-M2QZ")
    composition.run(
        *("python", "manage.py", "publish", event["type"]),
        *("--subject", event["subject"], "--data", json.dumps(event["data"])),
    )
    ask = ("python", "manage.py", "shell", "-v0", "-c", ACKNOWLEDGED)
    wait_until(lambda: set(composition.run(*ask).split()) >= REACHED)


def a_record_of_kafka_is_taken_in(
    composition: Composition, kafka: ForeignKafka, feed: dict[str, Any]
) -> None:
    event = {**purchase("RECORD"), "source": "/kafka"}
    message = Received(
        body=json.dumps(event).encode(), content_type="application/cloudevents+json"
    )
    kafka.send(feed, [message])
    ask = ("python", "manage.py", "shell", "-v0", "-c", TAKEN_IN)
    wait_until(lambda: "True" in composition.run(*ask))


def every_program_ends_when_it_is_asked_to(started: dict[str, Server]) -> None:
    for server in started.values():
        program(server).send_signal(signal.SIGTERM)
    for name, server in started.items():
        exit_code = server.wait(STOPPED_SECONDS)
        assert exit_code == 0, f"{name}: {server.log.read_text()[-2000:]}"
