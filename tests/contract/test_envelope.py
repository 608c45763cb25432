"""The rules of the envelope hold for every publisher, and keep what was published."""

from __future__ import annotations

import hmac
from typing import Any

import pytest

from router.conf import digest_key
from router.contract.errors import EventConflict, InvalidEvent
from router.models import EventRecord
from router.public import publish
from router.testing import deliver_due
from tests.receivers import Declare

pytestmark = pytest.mark.one_database


def attributes(**changes: Any) -> dict[str, Any]:
    return {"type": "thing.happened", "data": {}, "source": "/x", **changes}


@pytest.mark.parametrize(
    "event_type",
    ["OrderCreated", "Microsoft.Storage.BlobCreated", "a/b", "a b", " ", "ü→😀", "a*b"]
    + ["routers.met", "my.router.opened", "x" * 255],
)
def test_any_text_is_a_type(declare: Declare, event_type: str) -> None:
    listener = declare("all", events=["*"])

    publish(**attributes(type=event_type))

    deliver_due()
    assert [event.type for event in listener.seen] == [event_type]


@pytest.mark.parametrize(
    "event_type", ["OrderCreated", "Microsoft.Storage.BlobCreated", "a/b", "a b.c,d"]
)
def test_every_type_without_a_star_can_be_asked_for(
    declare: Declare, event_type: str
) -> None:
    exact, below = declare("exact", events=[event_type]), declare("below", events=["z"])

    publish(**attributes(type=event_type))

    deliver_due()
    assert (len(exact.seen), len(below.seen)) == (1, 0)


BAD_TEXTS = {
    "NUL": "a\x00",
    "a control character": "a\x1fb",
    "delete": "\x7f",
    "a C1 control character": "\x85",
    "half a surrogate pair": "\ud800",
    "two halves apart": "\udc00\ud800",
    "a noncharacter": "\ufdd0",
    "the end of the basic plane": "\uffff",
    "the end of another plane": "a\U0001fffe",
    "the end of Unicode": "\U0010ffff",
}


@pytest.mark.parametrize("bad", BAD_TEXTS.values(), ids=BAD_TEXTS)
@pytest.mark.parametrize(
    "name", ["type", "source", "id", "subject", "partitionkey", "dataschema", "ext"]
)
def test_no_attribute_has_a_character_that_cloudevents_forbids(
    db: None, name: str, bad: str
) -> None:
    changes = {"extensions": {"ext": bad}} if name == "ext" else {name: bad}

    with pytest.raises(InvalidEvent) as refused:
        publish(**attributes(**changes))

    assert [pointer for pointer, _ in refused.value.problems] == [f"/{name}"]
    assert f"U+{ord(max(bad, key=lambda c: c != 'a')):04X}" in str(refused.value)
    assert not EventRecord.objects.exists()


@pytest.mark.parametrize(
    "extensions",
    [
        {"n": 2**31},
        {"n": -(2**31) - 1},
        {"n": 10**100},
        {"n": 1.0},
        {"n": None},
        {"n": b"x"},
        {"n": ["x"]},
        {"N": "x"},
        {"n-n": "x"},
        {"n_n": "x"},
        {"n\n": "x"},
        {"é": "x"},
        {"": "x"},
        {"n" * 101: "x"},
        {7: "x"},
        {"data": "x"},
        {"data_base64": "x"},
        {"specversion": "1.0"},
        {"subject": "x"},
        {"time": "x"},
        "text",
    ],
    ids=repr,
)
def test_an_extension_that_cloudevents_does_not_have_is_refused(
    db: None, extensions: Any
) -> None:
    with pytest.raises(InvalidEvent):
        publish(**attributes(extensions=extensions))


def test_an_extension_keeps_its_type_and_value(declare: Declare) -> None:
    listener = declare("all", events=["*"])
    given = {
        "text": "ü😀 ",
        "empty": "",
        "most": 2**31 - 1,
        "least": -(2**31),
        "yes": True,
        "n" * 100: "x" * 65_536,
    }

    publish(**attributes(extensions=given))

    deliver_due()
    kept = listener.seen[0].extensions
    assert {name: (type(value), value) for name, value in kept.items()} == {
        name: (type(value), value) for name, value in given.items()
    }


@pytest.mark.parametrize(
    "source",
    ["ht!tp://[", "my shop", "%zz", "%", "/a%2", "1:b", "://x", "[a]", "/a|b", "/ü"]
    + ["http://[::g]/", "http://a:x/", "#a#b", 'a"b', "<a>", "a\\b", "{x}", "/a^", "`"],
)
def test_a_source_that_is_no_uri_reference_is_refused(db: None, source: str) -> None:
    with pytest.raises(InvalidEvent, match="URI reference"):
        publish(**attributes(source=source))


@pytest.mark.parametrize(
    "source",
    ["/shop", "shop", "https://shop.example/a%20b?c=d#e", "urn:uuid:1", "mailto:a@b.c"]
    + ["//host/x", "http://[::1]:80/", "?q", "#f", "a/b:c", "1-555-123-4567", "."],
)
def test_a_source_is_any_uri_reference(db: None, source: str) -> None:
    assert publish(**attributes(source=source)).event.source == source


@pytest.mark.parametrize("dataschema", ["schema/1", "/schema", "//host/x", "a b", "%"])
def test_a_dataschema_is_an_absolute_uri(db: None, dataschema: str) -> None:
    with pytest.raises(InvalidEvent, match="absolute URI"):
        publish(**attributes(dataschema=dataschema))


@pytest.mark.parametrize(
    ("given", "carried"),
    [
        ("2026-02-03T04:05:06Z", "2026-02-03T04:05:06Z"),
        ("2026-02-03t04:05:06z", "2026-02-03T04:05:06Z"),
        ("2026-02-03T04:05:06+02:00", "2026-02-03T02:05:06Z"),
        ("2026-02-03T04:05:06-00:00", "2026-02-03T04:05:06Z"),
        ("2026-02-03T23:59:06+23:59", "2026-02-03T00:00:06Z"),
        ("2026-02-03T04:05:06.120Z", "2026-02-03T04:05:06.120000Z"),
        ("2026-02-03T04:05:06.123456000Z", "2026-02-03T04:05:06.123456Z"),
        # What a datetime can't say is carried as it came.
        ("2026-02-03T04:05:06.123456789Z", "2026-02-03T04:05:06.123456789Z"),
        ("2026-02-03T04:05:06.0000001-01:00", "2026-02-03T04:05:06.0000001-01:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z"),
        ("2017-01-01t00:59:60.5+01:00", "2017-01-01T00:59:60.5+01:00"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_time_says_what_was_published(db: None, given: str, carried: str) -> None:
    publish(**attributes(time=given))

    record = EventRecord.objects.get()
    assert record.to_event().to_cloudevent()["time"] == carried
    assert record.context()["time"] == carried


@pytest.mark.parametrize(
    "time",
    ["2026-W06-2T04:05:06Z", "2026-034T04:05:06Z", "20260203T040506Z", "2026-02-03"]
    + ["2026-02-03T04:05:06,5Z", "2026-02-03T04:05:06+01", "2026-02-03T04:05:06+0100"]
    + ["2026-02-03T04:05Z", "2026-02-03 04:05:06Z", "2026-02-03T04:05:06"]
    + ["2026-02-03T24:00:00Z", "2026-02-03T04:05:61Z", "2026-02-03T04:05:06+24:00"]
    + ["2026-02-30T04:05:06Z", "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z"]
    + [
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
        "2026-02-03T04:05:06.Z",
    ]
    + ["2026-02-03T04:05:60Z", " 2026-02-03T04:05:06Z", "2026-02-03T04:05:06Z\n"]
    + ["٢026-02-03T04:05:06Z", f"2026-02-03T04:05:06.{'1' * 50}Z", "now", 7, True],
)
def test_a_time_that_rfc_3339_does_not_have_is_refused(db: None, time: Any) -> None:
    with pytest.raises(InvalidEvent) as refused:
        publish(**attributes(time=time))

    assert [pointer for pointer, _ in refused.value.problems] == ["/time"]


@pytest.mark.parametrize(
    "event_type",
    ["router.failed_task.opened", "router.x", "router", "router.", "ROUTER.test"]
    + ["Router.Failed_Task.Opened", " router.x", "router．x", "ｒouter.x"]
    + ["rou\u200bter.x", "router\u00ad.x", "\u202erouter.x", "\ufeffrouter.x"]
    + ["router\ufe0f.x", "\u2060router", "\u034frouter.x", "\u3164router.x"]
    + ["router .x", "r o u t e r.x", "router\u2003.x", "\U000e0001router.x"],
)
def test_nobody_outside_publishes_an_event_of_the_router(
    db: None, event_type: str
) -> None:
    with pytest.raises(InvalidEvent, match="the router's own"):
        publish(**attributes(type=event_type))


@pytest.mark.parametrize(
    "source",
    ["/router", "/Router", "/router/", "/%72outer"]
    + ["/./router", "/x/../router", "/router#", "/router?", "/router%20/"]
    + ["/rou%E2%80%8Bter"],
)
def test_nobody_outside_publishes_from_the_source_of_the_router(
    db: None, source: str
) -> None:
    with pytest.raises(InvalidEvent, match="the router's own"):
        publish(**attributes(source=source))


ONCE: dict[str, Any] = {
    "id": "1",
    "subject": "a",
    "partitionkey": "a",
    "dataschema": "urn:a",
    "datacontenttype": "application/json",
    "extensions": {"n": 1, "yes": True, "text": "a"},
}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"type": "thing.undone"}, "type"),
        ({"subject": "b"}, "subject"),
        ({"subject": ""}, "subject"),
        ({"partitionkey": "b"}, "partitionkey"),
        ({"partitionkey": ""}, "partitionkey"),
        ({"dataschema": "urn:b"}, "dataschema"),
        ({"datacontenttype": "application/ld+json"}, "datacontenttype"),
        ({"extensions": {**ONCE["extensions"], "n": 2}}, "n"),
        ({"extensions": {**ONCE["extensions"], "yes": False}}, "yes"),
        ({"extensions": {**ONCE["extensions"], "more": ""}}, "more"),
        ({"extensions": {"n": 1, "yes": True}}, "text"),
        ({"extensions": {}}, "n, text, yes"),
        ({"data": {"n": 1}}, "data"),
    ],
)
def test_the_same_id_with_another_envelope_is_a_conflict(
    db: None, changes: dict[str, Any], named: str
) -> None:
    publish(**attributes(**ONCE))

    with pytest.raises(EventConflict, match=f"with another {named}. Give"):
        publish(**attributes(**{**ONCE, **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {"time": "2026-02-03T04:05:06.123456789Z"},
        {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"},
        {"extensions": {**ONCE["extensions"], "tracestate": "a=1"}},
        {"datacontenttype": "application/json; charset=utf-8"},
        # Binary mode has every value as text.
        {"extensions": {"n": "1", "yes": "true", "text": "a"}},
    ],
)
def test_the_same_event_of_another_call_is_recorded_once(
    db: None, changes: dict[str, Any]
) -> None:
    first = publish(**attributes(**ONCE))

    second = publish(**attributes(**{**ONCE, **changes}))

    assert (second.number, second.is_new) == (first.number, False)
    assert second.event.to_cloudevent()["time"] == first.event.to_cloudevent()["time"]


def test_an_event_of_an_older_release_is_recognised(db: None) -> None:
    first = publish(**attributes(**ONCE))
    # What the digest of that release was made of.
    old = "\x1f".join(("thing.happened", "a", "urn:a", "{}"))
    digest = hmac.digest(digest_key(), old.encode(), "sha256").hex()
    EventRecord.objects.update(digest=digest)

    assert publish(**attributes(**ONCE)).number == first.number
    with pytest.raises(EventConflict):
        publish(**attributes(**ONCE | {"data": {"n": 1}}))
