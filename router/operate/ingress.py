"""A person settles a message that a bridge took and that is no valid event."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from router.conf import conf
from router.contract.binding import STRUCTURED_TYPE, Message, content
from router.contract.cloudevents import publish_arguments
from router.contract.data import is_json, members
from router.contract.errors import NotOpen
from router.flow import audit
from router.flow.publish.publishing import publish
from router.flow.publish.recording import Published
from router.models import Clock, IngressFailedTask, IngressState
from router.operate.failed_tasks import Settled


@transaction.atomic
def publish_ingress(task_id: int, event: Any, *, by: str, note: str = "") -> Published:
    """Publish `event`, in the JSON format of CloudEvents, in place of the message.

    Raises `InvalidEvent` and the other errors of `publish`, or `NotOpen`; then nothing
    is changed.
    """
    published = publish(**publish_arguments(event))
    _settle(
        task_id, IngressState.PUBLISHED, by=by, note=note, event_id=published.number
    )
    return published


@transaction.atomic
def discard_ingress(task_id: int, *, by: str, note: str = "") -> None:
    """Nobody gets the message; its bytes stay. Raises `NotOpen`."""
    _settle(task_id, IngressState.DISCARDED, by=by, note=note)


def discard_ingress_tasks(task_ids: Iterable[int], *, by: str, note: str) -> Settled:
    """Discard each of these that is open; returns which, and why others were not."""
    settled: list[int] = []
    refused: list[tuple[int, str]] = []
    for task_id in task_ids:
        try:
            discard_ingress(task_id, by=by, note=note)
        except NotOpen as error:
            refused.append((task_id, str(error)))
        else:
            settled.append(task_id)
    return Settled(settled=tuple(settled), refused=tuple(refused))


def proposed_event(task: IngressFailedTask) -> str:
    """What the message says of an event, as JSON for a person to correct.

    Without a body that is longer than any event: a form can't send it back.
    """
    body = bytes(task.body)
    if len(body) > conf().max_event_bytes:
        body = b""
    if task.content_type.startswith(STRUCTURED_TYPE):
        return body.decode(errors="replace")
    known = content(Message(body=body, content_type=task.content_type))
    data = known.pop("data", b"")
    event = {
        "specversion": "1.0",
        "id": task.message_id,
        "source": conf().bridges.get(task.bridge, {}).get("source", ""),
        "type": task.name,
        **task.attributes,
        **known,
        **_data(data, known.get("datacontenttype", "")),
    }
    return json.dumps(event, indent=2, ensure_ascii=False)


def _data(body: bytes, datacontenttype: str) -> dict[str, Any]:
    if is_json(datacontenttype):
        try:
            return {"data": json.loads(body)}
        except (ValueError, RecursionError):
            return {"data": body.decode(errors="replace")}
    return members(body, has_data=bool(body))


def _settle(
    task_id: int, state: IngressState, *, by: str, note: str, **columns: Any
) -> None:
    rows = IngressFailedTask.objects.open().filter(pk=task_id)
    changed = rows.update(
        state=state, settled_at=Clock(), settled_by=by, settled_note=note, **columns
    )
    if not changed:
        raise NotOpen(
            gettext("It was settled already, or it is gone. Nothing was changed.")
        )
    audit.note(
        f"ingress_failed_task.{state}",
        f"ingress failed task {task_id}",
        by=by,
        reason=note,
    )
