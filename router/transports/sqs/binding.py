"""Messages of SQS as events, those that came by SNS in its envelope too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from router.contract import json_text
from router.contract.binding import STRUCTURED_TYPE, Message
from router.transports.consumer import Incoming

PREFIX = "ce-"
CONTENT_TYPE = "content-type"


def from_sqs(message: Mapping[str, Any], *, queue: str) -> Incoming:
    """What came: its text, and the attributes beside it."""
    system = message.get("Attributes", {})
    group = system.get("MessageGroupId", "")
    envelope = _envelope(message["Body"])
    if envelope is None:
        given = message.get("MessageAttributes", {})
        read = _message(message["Body"], given, "StringValue", group)
        own_id = system.get("MessageDeduplicationId") or message["MessageId"]
        name = queue
    else:
        given = envelope.get("MessageAttributes", {})
        read = _message(envelope["Message"], given, "Value", group)
        own_id = envelope["MessageId"]
        name = envelope["TopicArn"].rpartition(":")[2]
    handle = message["ReceiptHandle"]
    return Incoming(message=read, id=own_id, name=name, handle=handle)


def _message(body: str, attributes: Any, value: str, group: str) -> Message:
    """`value` is what an attribute calls its value; one of bytes is left out."""
    given = attributes if isinstance(attributes, dict) else {}
    texts = {
        name: each[value]
        for name, each in given.items()
        if isinstance(each, dict)
        and isinstance(each.get(value), str)
        and each.get("Type") != "Binary"
    }
    content_type = texts.get(CONTENT_TYPE)
    if content_type is None:
        content_type = STRUCTURED_TYPE if "specversion" in _object(body) else ""
    return Message(
        body=body.encode(errors="replace"),
        content_type=content_type,
        attributes={
            name.removeprefix(PREFIX): text
            for name, text in texts.items()
            if name.startswith(PREFIX)
        },
        key=group,
    )


def _envelope(body: str) -> dict[str, Any] | None:
    """The body as SNS wraps it where delivery is not raw.

    Who may send to the queue may write one: nothing in it is what it should be.
    """
    parsed = _object(body) if '"TopicArn"' in body else {}
    texts = [parsed.get(name) for name in ("Message", "MessageId", "TopicArn")]
    is_one = parsed.get("Type") == "Notification"
    return parsed if is_one and all(isinstance(text, str) for text in texts) else None


def _object(body: str) -> dict[str, Any]:
    """The body as a JSON object; an empty one where it is none."""
    try:
        parsed = json_text.repaired(json.loads(body))
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
