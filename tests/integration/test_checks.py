"""Each dangerous setting is a system check with an id and a hint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from cryptography.fernet import Fernet
from django.core.checks import CheckMessage
from django.db import OperationalError, connection
from kombu import Queue

from router.checks import (
    check_celery,
    check_encryption,
    check_settings,
)
from router.conf import POSTGRESQL_TIMEOUTS, QUEUES
from router.contract.errors import InvalidSubscriber
from router.database_checks import check_database
from router.operate.declared import register_declared
from router.portal_checks import check_portal
from router.public import subscriber
from router.registry import isolated

pytestmark = pytest.mark.django_db


def ids(messages: list[CheckMessage]) -> set[str]:
    assert all(message.hint for message in messages)
    return {str(message.id) for message in messages}


def database_complaints() -> set[str]:
    return ids(check_database(databases=["default"]))


@pytest.mark.parametrize(
    ("wrong", "identity"),
    [
        ({"LEESE_SECONDS": 90}, "router.E001"),
        ({"LEASE_SECONDS": "long"}, "router.E001"),
        ({"SCHEMAS": {"a.b": [Path("nowhere.json")]}}, "router.E001"),
        # Another worker would start while the first still runs.
        ({"LEASE_SECONDS": 60}, "router.E002"),
        # The broker would hand a message out again while its lease holds.
        ({"LEASE_SECONDS": 3600}, "router.E003"),
        ({"RETRY_FIRST_SECONDS": 601}, "router.E004"),
        ({"SUBJECT_SEARCH": "config.order_search.nobody"}, "router.E025"),
        ({"SUBJECT_SEARCH": "nowhere"}, "router.E025"),
        ({"SUBJECT_TITLE": "nowhere"}, "router.E025"),
        ({"HISTORY": {"a.b": "nowhere"}}, "router.E038"),
        ({"HISTORY": {"a.b": {"facts": "os.walk", "source": "a b"}}}, "router.E026"),
        # A webhook's answer would find its time limit passed.
        ({"WEBHOOK_DEADLINE_SECONDS": 60}, "router.E005"),
        ({"WEBHOOK_ALLOWED_NETWORKS": ["10.0.0.0/8"]}, "router.W007"),
        ({"WEBHOOK_ALLOWED_NETWORKS": ["10.0.0.1/8"]}, "router.E001"),
        ({"METRICS_TOKEN": "guess me"}, "router.E033"),
        ({"METRICS_TOKEN": f"{'with blanks ' * 3}x"}, "router.E033"),
        ({"METRICS_TOKEN": "é" * 32}, "router.E033"),
        ({"PORTAL": {"accent": "brass"}}, "router.E001"),
        ({"PORTAL": {"logo": "https://cdn.example/logo.svg"}}, "router.E001"),
        ({"PORTAL": {"logo": "//cdn.example/logo.svg"}}, "router.E001"),
        ({"PORTAL": {"frame_ancestors": ["*"]}}, "router.E001"),
        ({"PORTAL": {"frame_ancestors": ["https://a.example; x"]}}, "router.E001"),
        ({"PORTAL": {"colour": "#7d5100"}}, "router.E001"),
        # No event could be published from there.
        ({"OWN_SOURCE": "my router"}, "router.E026"),
        ({"OWN_SOURCE": ""}, "router.E026"),
        ({"SOURCES": {"shop.signals.sold": "%zz"}}, "router.E026"),
        ({"SOURCES": {"shop.signals.sold": "/Router"}}, "router.E027"),
    ],
)
def test_a_wrong_setting_of_the_router_is_found(
    settings: Any, wrong: dict[str, Any], identity: str
) -> None:
    settings.ROUTER = wrong

    assert ids(check_settings()) == {identity}


def test_a_handler_that_may_outlast_its_lease_is_found(settings: Any) -> None:
    settings.ROUTER = {}
    with isolated():
        subscriber("slow", events=["a.b"], time_limit_seconds=90)(lambda event: None)

        assert ids(check_settings()) == {"router.E002"}


@pytest.mark.parametrize(
    "wrong", [{"sql": "subject ="}, {"javascript": "true"}, {}, "purchase.*"]
)
def test_a_filter_that_is_none_is_found(settings: Any, wrong: Any) -> None:
    settings.ROUTER = {}
    with isolated():
        subscriber("loyalty", events=["a.b"], filter=wrong)(lambda event: None)

        assert ids(check_settings()) == {"router.E034"}
        # A command may skip the checks.
        with pytest.raises(InvalidSubscriber, match="'loyalty'.*`filter`"):
            register_declared()


@pytest.mark.parametrize("names", [("new",), ("new", "old"), ("new", "newer")])
def test_a_former_name_that_is_none_is_found(settings: Any, names: list[str]) -> None:
    settings.ROUTER = {}
    with isolated():
        for name in names:
            former = "" if name == "old" else "old" if len(names) > 1 else name
            subscriber(name, events=["a.b"], formerly=former)(lambda event: None)

        assert ids(check_settings()) == {"router.E039"}
        with pytest.raises(InvalidSubscriber, match="'new'.*`formerly`"):
            register_declared()


@pytest.mark.parametrize(
    ("colours", "problem"),
    [
        ({}, set()),
        ({"accent": "#c9a227"}, {"router.W044"}),
        ({"accent_dark": "#402a00"}, {"router.W044"}),
        ({"accent": "#1c5a9e", "accent_dark": "#8abcf5"}, set()),
    ],
)
def test_colours_of_the_portal_that_are_hard_to_read_are_found(
    settings: Any, colours: dict[str, str], problem: set[str]
) -> None:
    settings.ROUTER = {"PORTAL": colours}

    assert ids(check_portal()) == problem


@pytest.mark.parametrize(
    ("keys", "is_debug", "problem"),
    [
        ([], True, set()),
        ([], False, {"router.E006"}),
        ([Fernet.generate_key().decode()], False, set()),
        # The newest is whole, the one behind it was cut.
        ([Fernet.generate_key().decode(), "c3dvcmRmaXNo"], True, {"router.E008"}),
    ],
)
def test_secrets_without_a_key_of_their_own_are_found(
    settings: Any, keys: list[str], is_debug: bool, problem: set[str]
) -> None:
    settings.DEBUG = is_debug
    settings.ROUTER = {"ENCRYPTION_KEYS": keys}

    assert ids(check_encryption()) == problem


def test_the_settings_as_they_are_have_no_faults(settings: Any) -> None:
    settings.DEBUG = True
    checks = (check_settings, check_encryption, check_celery, check_portal)

    assert [problem for check in checks for problem in check()] == []
    assert database_complaints() == set()


@pytest.fixture
def changed_celery() -> Iterator[dict[str, Any]]:
    changes: dict[str, Any] = {}
    before = {name: current_app.conf[name] for name in WRONG_CELERY}
    yield changes
    for name, value in before.items():
        current_app.conf[name] = value


WRONG_CELERY: dict[str, tuple[Any, str]] = {
    "task_acks_late": (False, "router.E010"),
    "task_reject_on_worker_lost": (False, "router.E011"),
    "task_ignore_result": (False, "router.E012"),
    "task_create_missing_queues": (True, "router.E013"),
    "task_always_eager": (True, "router.E014"),
    "worker_prefetch_multiplier": (4, "router.W015"),
    "task_queues": ([], "router.E016"),
}


@pytest.mark.usefixtures("changed_celery")
@pytest.mark.parametrize("name", WRONG_CELERY)
def test_a_celery_that_would_lose_work_is_found(name: str) -> None:
    value, identity = WRONG_CELERY[name]
    current_app.conf[name] = value

    assert ids(check_celery()) == {identity}


@pytest.mark.usefixtures("changed_celery")
@pytest.mark.parametrize("url", ["amqp://127.0.0.1//", "redis://127.0.0.1/0"])
def test_on_rabbitmq_a_classic_queue_is_found(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(current_app.conf, "broker_url", url)
    assert ids(check_celery()) == set()

    current_app.conf.task_queues = [Queue(name) for name in QUEUES.values()]

    is_rabbitmq = url.startswith("amqp")
    assert ids(check_celery()) == ({"router.E018"} if is_rabbitmq else set())


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("redis://127.0.0.1/0", None),
        ("rediss://user:geheim@host:6379/0", None),
        ("redis+socket:///run/valkey.sock", None),
        ("sentinel://one:26379;sentinel://two:26379", None),
        ("amqp://127.0.0.1//", None),
        (["amqps://one//", "amqps://two//"], None),
        # What Celery takes for RabbitMQ.
        ("localhost", None),
        ("sqs://AKIAUSER:geheim@", "bridges"),
        ("SQS://AKIAUSER:geheim@", "bridges"),
        ("gcpubsub://projects/shop", "bridges"),
        ("confluentkafka://host:9092", "bridges"),
        ("memory://", "RabbitMQ"),
        ("filesystem://", "RabbitMQ"),
        ("sqlalchemy+postgresql://user:geheim@host/shop", "RabbitMQ"),
        ("zookeeper://host:2181/", "RabbitMQ"),
        ("redis://host/0;sqs://AKIAUSER:geheim@", "bridges"),
        (["amqp://one//", "kafka://user:geheim@host:9092"], "bridges"),
    ],
)
def test_a_broker_that_would_lose_or_stall_work_is_found(
    monkeypatch: pytest.MonkeyPatch, address: Any, words: str | None
) -> None:
    monkeypatch.setattr(current_app.conf, "broker_url", address)

    problems = check_celery()

    assert ids(problems) == ({"router.E032"} if words else set())
    for problem in problems:
        assert words in str(problem.hint)
        assert "geheim" not in f"{problem.msg} {problem.hint}"


@pytest.mark.parametrize(
    ("setting", "value"), [("broker_read_url", "sqs://"), ("broker_transport", "sqs")]
)
def test_a_broker_that_another_setting_names_is_looked_at_too(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setattr(current_app.conf, setting, value)

    assert ids(check_celery()) == {"router.E032"}


def test_reconnecting_for_every_task_is_found(settings: Any) -> None:
    settings.CELERY_DB_REUSE_MAX = None

    assert ids(check_celery()) == {"router.W017"}


def test_a_database_without_the_needed_options_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    # On PostgreSQL what is in force decides, not the options.
    is_sqlite = connection.vendor == "sqlite"

    assert database_complaints() == (
        {"router.E020", "router.E021"} if is_sqlite else set()
    )


@pytest.fixture
def on_postgresql() -> None:
    if connection.vendor != "postgresql":
        pytest.skip("a timeout of PostgreSQL")


@pytest.mark.usefixtures("on_postgresql")
@pytest.mark.parametrize("name", POSTGRESQL_TIMEOUTS)
# None at all, and one that ends after the lease.
@pytest.mark.parametrize("value", ["0", "90s"])
def test_a_timeout_that_is_not_in_force_is_found_whatever_was_asked_for(
    name: str, value: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL {name} = '{value}'")

    (problem,) = check_database(databases=["default"])

    assert problem.id == "router.W022"
    assert name in problem.msg
    assert f"SET {name} = '{POSTGRESQL_TIMEOUTS[name]}'" in str(problem.hint)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("FATAL: unsupported startup parameter: options", "DATABASE_POOLER=true"),
        ("connection refused", "DATABASE_URL"),
    ],
)
@pytest.mark.usefixtures("on_postgresql")
def test_a_database_that_does_not_answer_is_found_in_the_driver_s_words(
    monkeypatch: pytest.MonkeyPatch, words: str, hint: str
) -> None:
    def fail() -> None:
        raise OperationalError(f"{words}\nand more")

    monkeypatch.setattr(connection, "cursor", fail)

    (problem,) = check_database(databases=["default"])

    assert problem.id == "router.E024"
    assert words in problem.msg
    assert hint in str(problem.hint)


def test_a_database_that_was_not_asked_for_is_not_looked_at() -> None:
    assert check_database(databases=None) == check_database(databases=["other"]) == []


@pytest.mark.parametrize(
    ("threshold", "is_wrong"),
    [(None, False), (0, False), (3, False), (-1, True), ("3", True)],
)
def test_a_threshold_that_is_no_number_of_uses_is_found(
    monkeypatch: pytest.MonkeyPatch, threshold: object, is_wrong: bool
) -> None:
    options = {**connection.settings_dict["OPTIONS"], "prepare_threshold": threshold}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)

    is_found = is_wrong and connection.vendor == "postgresql"
    assert database_complaints() == ({"router.E023"} if is_found else set())
