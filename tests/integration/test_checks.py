"""Each dangerous setting is a system check with an id and a hint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from cryptography.fernet import Fernet
from django.core.checks import CheckMessage
from django.db import connection
from kombu import Queue

from router.checks import (
    check_celery,
    check_database,
    check_encryption,
    check_settings,
)
from router.conf import QUEUES
from router.public import subscriber
from router.registry import isolated


def ids(messages: list[CheckMessage]) -> set[str]:
    assert all(message.hint for message in messages)
    return {str(message.id) for message in messages}


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
        # A webhook's answer would find its time limit passed.
        ({"WEBHOOK_DEADLINE_SECONDS": 60}, "router.E005"),
        ({"WEBHOOK_ALLOWED_NETWORKS": ["10.0.0.0/8"]}, "router.W007"),
        ({"WEBHOOK_ALLOWED_NETWORKS": ["10.0.0.1/8"]}, "router.E001"),
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
    ("keys", "is_debug", "found"),
    [
        ([], True, set()),
        ([], False, {"router.E006"}),
        ([Fernet.generate_key().decode()], False, set()),
        # The newest is whole, the one behind it was cut.
        ([Fernet.generate_key().decode(), "c3dvcmRmaXNo"], True, {"router.E008"}),
    ],
)
def test_secrets_without_a_key_of_their_own_are_found(
    settings: Any, keys: list[str], is_debug: bool, found: set[str]
) -> None:
    settings.DEBUG = is_debug
    settings.ROUTER = {"ENCRYPTION_KEYS": keys}

    assert ids(check_encryption()) == found


def test_the_settings_as_they_are_have_no_faults(settings: Any) -> None:
    settings.DEBUG = True
    checks = (check_settings, check_encryption, check_celery, check_database)

    assert [told for check in checks for told in check()] == []


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


def test_reconnecting_for_every_task_is_found(settings: Any) -> None:
    settings.CELERY_DB_REUSE_MAX = None

    assert ids(check_celery()) == {"router.W017"}


def test_a_database_without_the_needed_options_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    expected = {
        "sqlite": {"router.E020", "router.E021"},
        "postgresql": {"router.W022"},
    }

    assert ids(check_database()) == expected[connection.vendor]


@pytest.mark.parametrize(
    ("threshold", "is_wrong"),
    [(None, False), (0, False), (3, False), (-1, True), ("3", True)],
)
def test_a_threshold_that_is_no_number_of_uses_is_found(
    monkeypatch: pytest.MonkeyPatch, threshold: object, is_wrong: bool
) -> None:
    options = {**connection.settings_dict["OPTIONS"], "prepare_threshold": threshold}
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)

    assert ids(check_database()) == ({"router.E023"} if is_wrong else set())
