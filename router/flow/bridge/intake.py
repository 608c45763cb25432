"""Records what a bridge took from a foreign router.

All that is valid is published in one transaction; what is not is kept as an ingress
failed task, so that it holds up nothing. Both are committed before the caller
acknowledges; what comes a second time is known by its source and id.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router.contract import binding
from router.contract.cloudevents import publish_arguments
from router.contract.errors import BatchRefused, InvalidEvent, RouterError
from router.flow.publish.own_events import is_own_type
from router.flow.publish.publishing import publish_batch
from router.models import IngressFailedTask
from router.transports.consumer import Incoming
from router.transports.target import Feed


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of some messages."""

    new: int = 0
    known: int = 0
    failed: int = 0
    #: The events of another router of this kind about itself.
    dropped: int = 0


def take_in(bridge: str, feed: Feed, incoming: Sequence[Incoming]) -> Taken:
    """Record these. Raises what the database raises; then nothing is to be
    acknowledged."""
    entries: list[tuple[Incoming, Mapping[str, Any]]] = []
    failed: list[tuple[Incoming, RouterError]] = []
    dropped = 0
    for each in incoming:
        try:
            arguments = arguments_of(each, feed)
        except InvalidEvent as error:
            failed.append((each, error))
            continue
        if is_own_type(arguments["type"]):
            dropped += 1
        else:
            entries.append((each, arguments))
    published, refused = _publish(entries)
    failed += refused
    _keep(bridge, failed)
    new = sum(published)
    return Taken(
        new=new, known=len(published) - new, failed=len(failed), dropped=dropped
    )


def arguments_of(incoming: Incoming, feed: Feed) -> dict[str, Any]:
    """The arguments of `publish` for a message.

    A CloudEvent has its own source and id; anything else gets the source of the
    bridge, and the id that the router gave it. Raises `InvalidEvent`.
    """
    if incoming.problem:
        raise InvalidEvent(
            f"The message {incoming.problem}.", problems=[("", incoming.problem)]
        )
    event = binding.read(incoming.message)
    if event is not None:
        return publish_arguments(event)
    missing = {
        "source": "is no CloudEvent, and the bridge has no `source` for others",
        "id": "is no CloudEvent and has no id of its own",
        "type": "is no CloudEvent, and the bridge has no `type` for others",
    }
    whole = {
        "source": feed.source,
        "id": incoming.id,
        "type": feed.type or incoming.name,
    }
    for name, problem in missing.items():
        if not whole[name]:
            raise InvalidEvent(
                f"The message {problem}.", problems=[(f"/{name}", problem)]
            )
    content = binding.content(incoming.message)
    return {**whole, "partitionkey": incoming.message.key, **content}


def _publish(
    entries: Sequence[tuple[Incoming, Mapping[str, Any]]],
) -> tuple[list[bool], list[tuple[Incoming, RouterError]]]:
    """Publish these together; returns which are new, and those that are refused."""
    refused: list[tuple[Incoming, RouterError]] = []
    left = list(entries)
    while True:
        try:
            published = publish_batch([arguments for _, arguments in left])
        except BatchRefused as error:
            refused += [(left[place][0], why) for place, why in error.refused.items()]
            left = [
                each for place, each in enumerate(left) if place not in error.refused
            ]
        else:
            return [each.is_new for each in published], refused


def _keep(bridge: str, failed: Sequence[tuple[Incoming, RouterError]]) -> None:
    """Keep each with its bytes; one whose id came before is there already."""
    IngressFailedTask.objects.bulk_create(
        [_failed_task(bridge, each, error) for each, error in failed],
        ignore_conflicts=True,
    )


def _failed_task(bridge: str, each: Incoming, error: RouterError) -> IngressFailedTask:
    message = each.message
    attributes = json.dumps(dict(message.attributes), sort_keys=True)
    # Without an id nothing tells one that comes again from another that is alike: it is
    # rather kept twice than lost.
    id = each.id or uuid.uuid4().hex
    whole = f"{id}\n{message.content_type}\n{attributes}\n".encode() + message.body
    return IngressFailedTask(
        bridge=bridge,
        digest=hashlib.sha256(whole).hexdigest(),
        message_id=_storable(each.id)[:255],
        name=_storable(each.name)[:255],
        content_type=_storable(message.content_type)[:255],
        attributes=json.loads(attributes.replace("\\u0000", "\\ufffd")),
        body=message.body,
        problem=_storable(str(error))[:2000],
    )


def _storable(text: str) -> str:
    """Without what PostgreSQL can't store in a text."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
