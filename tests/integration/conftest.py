from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import pytest_django
from django.contrib import admin
from django.test import Client
from django.utils import timezone

from router import registry
from router.client import Client as RouterClient
from router.models import ApiKey, Heartbeat, Scope, Subscriber
from router.operate.subscribers import create_subscriber
from tests.conftest import private_rabbitmq
from tests.integration.api import STRUCTURED, Call, Get, Post, a_key, send
from tests.integration.lines import Line, line_to
from tests.integration.marked import write_marked
from tests.integration.rows import undone
from tests.integration.shopping import a_product, put_in_basket
from tests.receivers import Declare
from tests.servers.fauxqs import Fauxqs, fauxqs
from tests.servers.foreign import ForeignRouter
from tests.servers.foreign_amqp import ForeignRabbitMQ
from tests.servers.foreign_aws import ForeignSns, ForeignSqs
from tests.servers.foreign_kafka import ForeignKafka, foreign_kafka
from tests.servers.foreign_pubsub import ForeignPubsub, foreign_pubsub
from tests.servers.rabbitmq import RabbitMQ

# Tests are made of its tables, before the first address is read.
admin.autodiscover()


@pytest.fixture
def empty_router(db: None) -> Iterator[None]:
    """Nobody is declared and nobody is registered but by the test itself."""
    Subscriber.objects.all().delete()
    with registry.isolated():
        yield


@pytest.fixture(scope="module")
def rows_of_module(
    request: pytest.FixtureRequest,
    django_db_setup: None,
    django_db_blocker: pytest_django.DjangoDbBlocker,
) -> Iterator[Any]:
    """What `make_rows` of the module returns, in a router where nobody else is."""
    with django_db_blocker.unblock(), registry.isolated(), undone():
        Subscriber.objects.all().delete()
        yield request.module.make_rows()


@pytest.fixture
def shared_rows(rows_of_module: Any) -> Iterator[Any]:
    """Rows that are made once for a module; what a test does to them is undone.

    Its tests use no other fixture of the database: that would close the connection.
    """
    with registry.isolated(), undone():
        yield deepcopy(rows_of_module)


@pytest.fixture(scope="session")
def foreign_rabbitmq_server() -> Iterator[RabbitMQ]:
    """Not the broker of other tests: a node that was killed may lose their queues."""
    yield from private_rabbitmq()


@pytest.fixture
def foreign_amqp(foreign_rabbitmq_server: RabbitMQ) -> ForeignRabbitMQ:
    return ForeignRabbitMQ(foreign_rabbitmq_server)


@pytest.fixture(name="foreign_kafka")
def started_kafka() -> Iterator[ForeignKafka]:
    with foreign_kafka() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def fauxqs_server(npm_packages: Path) -> Iterator[Fauxqs]:
    """SQS and SNS, which tests may kill and start again."""
    with fauxqs(npm_packages) as server:
        yield server


@pytest.fixture
def foreign_sqs(fauxqs_server: Fauxqs) -> ForeignSqs:
    return ForeignSqs(fauxqs_server)


@pytest.fixture
def foreign_sns(fauxqs_server: Fauxqs) -> ForeignSns:
    return ForeignSns(fauxqs_server)


@pytest.fixture(scope="session", name="foreign_pubsub")
def started_pubsub() -> Iterator[ForeignPubsub]:
    """Pub/Sub, which tests may kill and start again."""
    with foreign_pubsub() as server:
        yield server


ON_RABBITMQ = pytest.param("amqp", marks=pytest.mark.xdist_group("foreign rabbitmq"))
ON_FAUXQS = [
    pytest.param(kind, marks=pytest.mark.xdist_group("fauxqs"))
    for kind in ("sqs", "sns")
]


@pytest.fixture(
    params=[
        ON_RABBITMQ,
        "kafka",
        "pubsub",
        *ON_FAUXQS,
    ]
)
def foreign(request: pytest.FixtureRequest) -> ForeignRouter:
    """Each kind of foreign router, up and empty."""
    router: ForeignRouter = request.getfixturevalue(f"foreign_{request.param}")
    return router


ON_SQS, ON_SNS = ON_FAUXQS


# A bridge reads what SNS sends from a queue of SQS.
@pytest.fixture(
    params=[
        ON_RABBITMQ,
        "kafka",
        ON_SQS,
        pytest.param("sns", marks=[pytest.mark.long, *ON_SNS.marks]),
        "pubsub",
    ]
)
def bridged(request: pytest.FixtureRequest) -> ForeignRouter:
    """Each kind that a bridge takes from, up and empty."""
    router: ForeignRouter = request.getfixturevalue(f"foreign_{request.param}")
    return router


@pytest.fixture
def marked(tmp_path: Path, settings: Any) -> None:
    """German has each message in English, between marks."""
    write_marked(tmp_path)
    settings.LOCALE_PATHS = sorted(tmp_path.iterdir())


@pytest.fixture
def listener(declare: Declare) -> Subscriber:
    """A subscriber that takes every event."""
    return declare().row


@pytest.fixture
def shopper(client: Client, db: None) -> Client:
    """A customer with one product in the basket."""
    put_in_basket(client, a_product())
    return client


@pytest.fixture
def alive(db: None) -> None:
    """A dispatcher and a worker have given a sign of life just now."""
    for kind in Heartbeat.Kind:
        Heartbeat.objects.create(
            name=kind, kind=kind, beat_at=timezone.now(), is_broker_reachable=True
        )


@pytest.fixture
def key(db: None) -> str:
    """An API key that may publish."""
    return ApiKey.make("partner", scopes=[Scope.PUBLISH])[1]


@pytest.fixture
def post(client: Client, key: str) -> Post:
    """Sends a body to be published, with that key."""

    def publish(body: Any, content_type: str = STRUCTURED) -> Any:
        return send(client, "POST", "events/", body, key=key, content_type=content_type)

    return publish


@pytest.fixture
def get(client: Client, db: None) -> Get:
    """`get(path, **query)`: with a key that may manage."""
    headers = {"Authorization": f"Bearer {a_key(Scope.MANAGE)}"}
    return lambda path, **query: client.get(f"/api/{path}", query, headers=headers)


@pytest.fixture
def call(client: Client) -> Call:
    """`call(method, path, body, **binding)`: with a key that may manage."""
    keys: dict[str, str] = {}

    def manage(method: str, path: str, body: Any = None, **binding: Any) -> Any:
        name = " ".join(["manager", *map(str, binding.items())])
        if name not in keys:
            row, keys[name] = ApiKey.make(name, scopes=[Scope.MANAGE])
            ApiKey.objects.filter(pk=row.pk).update(**binding)
        return send(client, method, path, body, key=keys[name])

    return manage


@pytest.fixture
def api_key(transactional_db: None) -> str:
    """An API key of a puller that may publish too."""
    return ApiKey.make("erp", scopes=[Scope.PUBLISH, Scope.CONSUME])[1]


@pytest.fixture
def router(live_server: Any, api_key: str, empty_router: None) -> RouterClient:
    """A client of a router where `erp` pulls."""
    create_subscriber("erp", by="test", transport="pull", events=["ticket.*"])
    return RouterClient(live_server.url, api_key)


@pytest.fixture
def line(live_server: Any) -> Iterator[Line]:
    with line_to(live_server.url) as proxy:
        yield proxy
