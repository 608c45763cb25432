"""Wrong settings of Django's tasks are system checks, and stop nothing before."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from config.env import BASE_DIR
from router import task_queues
from router.registry import declared, isolated
from router.task_backend.running import declare_queues
from router.task_checks import check_tasks
from router.task_queues import BACKEND

pytestmark = pytest.mark.django_db


def complaints() -> list[tuple[str, str]]:
    messages = check_tasks()
    assert all(message.hint for message in messages)
    return [(str(message.id), message.msg) for message in messages]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"QUEUES": []}, "QUEUES is empty"),
        ({"QUEUES": ["x" * 60]}, "longer than 63"),
        ({"OPTIONS": {"max_failure": 3}}, "max_failure: Extra inputs"),
        ({"OPTIONS": {"max_failures": 0}}, "max_failures: Input should be greater"),
        ({"OPTIONS": {"queue": "webhooks"}}, "OPTIONS queue"),
        ({"QUEUES": ["a-b", "a_b"]}, "share the subscriber tasks_a_b"),
    ],
)
def test_a_wrong_setting_is_named(
    settings: Any, params: dict[str, Any], words: str
) -> None:
    settings.TASKS = {"default": {"BACKEND": BACKEND, **params}}
    [(identity, text)] = complaints()
    assert identity == "router.E042"
    assert words in text


def test_what_is_right_is_no_complaint_nor_is_another_backend(settings: Any) -> None:
    options = {"is_transactional": True, "time_limit_seconds": 1.5}
    other = "django.tasks.backends.dummy.DummyBackend"
    settings.TASKS = {
        "default": {"BACKEND": BACKEND, "OPTIONS": options},
        "other": {"BACKEND": other, "QUEUES": [], "OPTIONS": {"what": "ever"}},
    }
    assert complaints() == []


def test_a_wrong_backend_declares_nothing_beside_the_others(settings: Any) -> None:
    settings.TASKS = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {"what": "ever"}},
        "mail": {"BACKEND": BACKEND, "QUEUES": ["bulk"]},
    }
    with isolated():
        declare_queues()
        assert [each.name for each in declared()] == ["tasks_mail_bulk"]


def test_without_django_6_or_the_backport_the_check_says_so(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_queues, "find_spec", lambda name: None)
    monkeypatch.setattr("router.task_checks.has_framework", task_queues.has_framework)
    settings.TASKS = {"default": {"BACKEND": BACKEND}}
    [(identity, text)] = complaints()
    assert (identity, "no tasks" in text) == ("router.E043", True)


def test_a_project_starts_without_tasks_and_with_tasks_in_its_models() -> None:
    """An app's models may import its tasks, before every model is there."""
    for module in ("config.settings", "tests.integration.task_settings"):
        code = "import django; django.setup(); from router.registry import declared; "
        code += "print(sum(each.name.startswith('tasks_') for each in declared()))"
        environment = {**os.environ, "DJANGO_SETTINGS_MODULE": module}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=BASE_DIR,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == ("0" if module == "config.settings" else "2")
