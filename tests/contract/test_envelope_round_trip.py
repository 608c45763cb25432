"""What is accepted comes back equal: from the log, from a pull, in a webhook."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from router.contract.signing import make_secret
from router.flow.route.routing import route_batch
from router.models import ApiKey, EventRecord, Scope, Subscriber, Transport
from router.testing import isolated_subscribers
from router.transports.base import Request
from router.transports.webhook.request import Receiver, sign

pytestmark = pytest.mark.one_database

RECEIVER = Receiver(url="https://example.com/", secrets=(make_secret(),))
OPTIONAL = ["subject", "partitionkey"]
RESERVED = {"id", "source", "type", "subject", "time", "data", "dataschema"} | {
    "specversion",
    "datacontenttype",
    "partitionkey",
    "traceparent",
}
TEXT = st.text(st.characters(exclude_categories=()), min_size=1, max_size=20)
NAMES = st.from_regex(r"[a-z0-9]{1,30}", fullmatch=True).filter(
    lambda name: name not in RESERVED
)
INTEGERS = st.integers(-(2**31), 2**31 - 1)
EXTENSIONS = st.dictionaries(NAMES, TEXT | INTEGERS | st.booleans(), max_size=3)
TIMES = st.builds(
    lambda moment, fraction, minutes: (
        f"{moment.replace(microsecond=0).isoformat()}{fraction}{offset(minutes)}"
    ),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),
    st.from_regex(r"(\.[0-9]{1,12})?", fullmatch=True),
    st.integers(-1439, 1439),
)
ENVELOPES = st.fixed_dictionaries(
    {"type": TEXT, "source": TEXT.map(lambda text: f"/{quoted(text)}")},
    optional={"time": TIMES, **dict.fromkeys(OPTIONAL, TEXT)},
)
often = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def quoted(text: str) -> str:
    return quote(text.encode(errors="replace"), safe="")


def offset(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"


def exact(text: str) -> tuple[datetime, str]:
    """The second in UTC, and the digits behind it."""
    head, rest = text[:19], text[19:]
    digits = rest[1:].partition("Z")[0].partition("+")[0].partition("-")[0]
    zone = rest.lstrip(".0123456789").replace("Z", "+00:00")
    shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    shift = -shift if zone[0] == "-" else shift
    moment = datetime.fromisoformat(head).replace(tzinfo=timezone(shift))
    return moment.astimezone(UTC), digits.rstrip("0") if rest[0] == "." else ""


def is_forbidden(value: object) -> bool:
    """As the type system of CloudEvents 1.0.2 defines String."""
    return isinstance(value, str) and any(
        code < 0x20
        or 0x7F <= code <= 0x9F
        or 0xD800 <= code <= 0xDFFF
        or 0xFDD0 <= code <= 0xFDEF
        or code & 0xFFFE == 0xFFFE
        for code in map(ord, value)
    )


@pytest.fixture
def door(db: None) -> Iterator[Any]:
    """`door(path, body, content_type, **headers)` posts to the API."""
    with isolated_subscribers():
        Subscriber.objects.create(name="erp", events=["*"], transport=Transport.PULL)
        _, text = ApiKey.make("all", scopes=list(Scope), calls_per_minute=1_000_000)
        client = Client(headers={"Authorization": f"Bearer {text}"})

        def post(path: str, body: Any, kind: str, **headers: str) -> Any:
            headers |= {"Content-Length": str(len(body))}
            return client.post(f"/api/{path}", body, content_type=kind, headers=headers)

        yield post


def seen_everywhere(door: Any, answer: Any) -> list[dict[str, Any]]:
    """The event as it is in the log, in a pull, and in a webhook's body."""
    route_batch()
    row = EventRecord.objects.get(number=answer.json()["number"])
    patiently = '{"lease_seconds": 600}'
    pulled = door("subscribers/erp/pull/", patiently, "application/json").json()
    (event,) = (delivery["event"] for delivery in pulled["deliveries"])
    letter = Request(
        key=1, event=row.to_event(), webhook_id="msg_1", attempt=1, origin="live"
    )
    posted = json.loads(sign(letter, RECEIVER, at=datetime.now(UTC)).body)
    return [row.shown(), event, posted]


def assert_kept(door: Any, answer: Any, sent: dict[str, Any]) -> None:
    """Accepted and equal, or refused for a character that CloudEvents forbids."""
    bad = {name for name, value in sent.items() if is_forbidden(value)}
    if bad:
        assert answer.status_code == 422, answer.content
        pointers = {error["pointer"][1:] for error in answer.json()["errors"]}
        assert pointers == bad
        return
    assert answer.status_code == 202, answer.content
    for event in seen_everywhere(door, answer):
        if "time" in sent:
            assert exact(event["time"]) == exact(sent["time"])
        kept = {name: event.get(name) for name in sent if name != "time"}
        assert kept == {name: sent[name] for name in kept}


@often
@given(envelope=ENVELOPES, extensions=EXTENSIONS)
@example(envelope={"type": "\ufdd0", "source": "/x"}, extensions={})
@example(envelope={"type": "a", "source": "/x"}, extensions={"ext": "\U0001ffff"})
@example(envelope={"type": "a", "source": "/x"}, extensions={"ext": "\ud83d"})
def test_structured_mode(
    door: Any, envelope: dict[str, Any], extensions: dict[str, Any]
) -> None:
    sent = {"id": str(uuid.uuid4()), **extensions, **envelope}
    body = json.dumps({"specversion": "1.0", **sent})

    answer = door("events/", body, "application/cloudevents+json")

    assert_kept(door, answer, sent)


@often
@given(envelope=ENVELOPES, extensions=EXTENSIONS)
def test_binary_mode(
    door: Any, envelope: dict[str, Any], extensions: dict[str, Any]
) -> None:
    texts = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in {**extensions, **envelope}.items()
    }
    # No header can have half of a surrogate pair, however it is encoded.
    sent = {
        name: text.encode(errors="replace").decode() for name, text in texts.items()
    } | {"id": str(uuid.uuid4())}
    headers = {
        f"ce-{name}": quote(text, safe="!#$&'()*+,/:;=?@[]-._~")
        for name, text in {**sent, "specversion": "1.0"}.items()
    }

    answer = door("events/", "7", "application/json", **headers)

    assert_kept(door, answer, sent)
