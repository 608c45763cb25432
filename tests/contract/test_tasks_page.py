"""The page about Django's tasks: a reader who copies its blocks gets what it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.core import mail

from router.contract.errors import SchemaViolation
from router.models import EventRecord, Subscriber
from router.operate.erase.finding import personal_fields
from router.task_backend import framework
from router.task_queues import TaskOptions
from router.testing import deliver_due
from tests.code_blocks import blocks_of
from tests.contract.task_steps import tasks_of

PAGE = "docs/tasks.md"
SETTINGS, TASK, CALL = (
    block.text for block in blocks_of(PAGE) if block.language == "python"
)
TYPE = "router.task.mails.send_receipt"


def run(text: str, name: str) -> dict[str, Any]:
    """The block, as a module of that name; with the backport where Django has none."""
    module = ModuleType(name)
    known = "django.tasks" if "django.tasks" in sys.modules else "django_tasks"
    exec(text.replace("django.tasks", known), module.__dict__)  # noqa: S102
    return module.__dict__


@pytest.fixture
def mails(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Any]]:
    """The page's module, with the page's settings."""
    with tasks_of(**run(SETTINGS, "settings")["TASKS"]):
        module = ModuleType("mails")
        monkeypatch.setitem(sys.modules, "mails", module)
        module.__dict__.update(run(TASK, "mails"))
        yield module.__dict__


def test_the_blocks_of_the_page_send_a_receipt(mails: dict[str, Any]) -> None:
    names = set(Subscriber.objects.values_list("name", flat=True))
    assert names == {"tasks_default", "tasks_mail"}

    result = run(CALL, "shop")["result"]
    deliver_due()

    (sent,) = mail.outbox
    assert (sent.to, sent.body) == (["clara@example.com"], "Order RS3X-M2QZ")
    result.refresh()
    assert result.status == framework.TaskResultStatus.SUCCESSFUL
    event = EventRecord.objects.get()
    [shown] = [block.text for block in blocks_of(PAGE) if block.language == "json"]
    assert (event.type, event.json_data()) == (TYPE, json.loads(shown))


def test_each_option_is_on_the_page() -> None:
    text = "".join((settings.BASE_DIR / PAGE).read_text().split("\n| option |")[1:])
    assert [name for name in TaskOptions.model_fields if f"`{name}`" not in text] == []


def test_a_schema_refuses_wrong_arguments_and_marks_the_personal_ones(
    mails: dict[str, Any], tmp_path: Any, settings: Any
) -> None:
    address = {"type": "string", "format": "email", "x-personal": True}
    arguments = {
        "type": "array",
        "prefixItems": [{"type": "string"}, address],
        "items": address,
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://shop.example/send_receipt",
        "properties": {"args": arguments},
    }
    path = tmp_path / "send_receipt.json"
    path.write_text(json.dumps(schema))
    settings.ROUTER = {**settings.ROUTER, "SCHEMAS": {TYPE: [path]}}

    with pytest.raises(SchemaViolation):
        mails["send_receipt"].enqueue("RS3X-M2QZ", 7)
    mails["send_receipt"].enqueue("RS3X-M2QZ", "clara@example.com")

    data = EventRecord.objects.get().json_data()
    assert "clara@example.com" in personal_fields(TYPE).addresses_of(data)
