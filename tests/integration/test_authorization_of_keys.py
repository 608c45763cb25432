"""Which key may make which call, of its own things and of others': the whole table."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern
from django.utils import timezone

from router.api.urls import urlpatterns
from router.flow.causes import group_by_cause
from router.flow.cursor.runs import open_run
from router.models import (
    ApiKey,
    AuditEntry,
    Delivery,
    EventRecord,
    EventSchema,
    FailedTask,
    IngressFailedTask,
    PortalLink,
    RampedRetry,
    Run,
    Subscriber,
)
from router.operate.portal_links import create_portal_link
from router.operate.ramped_retries import begin_ramped_retry
from router.operate.schemas import register_schema
from tests.integration.api import an_envelope, assert_problem
from tests.integration.rows import (
    a_delivery,
    a_failed_task,
    a_subscriber,
    an_event,
    undone,
)

PUBLISH, CONSUME, MANAGE = {"publish"}, {"consume"}, {"manage"}
#: `manage` includes `schemas` while the key is bound to nothing.
SCHEMAS = {"schemas", "manage"}
SCOPES = ("publish", "consume", "manage", "schemas", "targets")
BOUND = {"types": ["own.*"], "sources": ["/own"], "subscribers": ["own-*"]}
KEPT = (
    Subscriber,
    Delivery,
    FailedTask,
    IngressFailedTask,
    EventRecord,
    EventSchema,
    PortalLink,
    AuditEntry,
    RampedRetry,
    Run,
)
TOKEN = str(uuid.UUID(int=7))


@dataclass(frozen=True)
class Call:
    """`who` in a path or body is `own` or `other`; names in braces are of `world`."""

    scopes: set[str]
    body: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    #: Of what the key is not bound to: None where the call names nothing.
    foreign: int | None = 404
    #: What a key gets that is bound to anything, of whatever is there; None: it has its
    #: own.
    bound: int | None = None
    #: Scopes that it needs beside one of `scopes`.
    beside: tuple[str, ...] = ()


NAMED = {"deliveries": [{"id": "{leased}", "lease_token": TOKEN}]}
HOOK = {"name": "{who}-new", "transport": "pull", "events": ["{who}.*"]}
SCHEMA = {"type": "{who}.new", "schema": {"$id": "urn:{who}:new"}}
#: Nobody listens there.
NOWHERE = {"url": "amqp://127.0.0.1:1"}
ENVELOPE = an_envelope(id="new", source="/{who}", type="{who}.thing")
#: Method and path of each call → who may make it.
CALLS = {
    "GET events/": Call(MANAGE, foreign=None),
    "POST events/": Call(PUBLISH, ENVELOPE, 202, foreign=403),
    "GET events/{event}/": Call(MANAGE),
    "GET events/{event}/explain/?subscriber={who}-pull": Call(MANAGE),
    "POST events/{done_event}/resend/": Call(
        MANAGE, {"subscriber": "{who}-pull"}, status=202
    ),
    "GET subscribers/": Call(MANAGE, foreign=None),
    "POST subscribers/": Call(MANAGE, HOOK, 201, foreign=403),
    "GET subscribers/{who}-hook/": Call(MANAGE),
    "PATCH subscribers/{who}-hook/": Call(MANAGE, {"url": "https://a.example/"}),
    "DELETE subscribers/{who}-hook/": Call(MANAGE, status=204),
    "POST subscribers/{who}-hook/pause/": Call(MANAGE),
    "POST subscribers/{who}-hook/resume/": Call(MANAGE),
    "POST subscribers/{who}-hook/rotate-secret/": Call(MANAGE),
    "POST subscribers/{who}-hook/test/": Call(MANAGE, status=202),
    "POST subscribers/{who}-hook/try-now/": Call(MANAGE),
    "POST subscribers/{who}-hook/preview-filter/": Call(
        MANAGE, {"filter": {"sql": "TRUE"}}
    ),
    "POST subscribers/{who}-hook/close-breaker/": Call(MANAGE),
    "POST targets/test/": Call(
        MANAGE,
        {"transport": "amqp", "target": NOWHERE, "subscriber": "{who}-hook"},
        beside=("targets",),
    ),
    "GET subscribers/{who}-hook/attempts/": Call(MANAGE),
    "GET subscribers/{who}-hook/statistics/": Call(MANAGE),
    "POST subscribers/{who}-hook/portal-links/": Call(MANAGE, {"label": "A"}, 201),
    "DELETE subscribers/{who}-hook/portal-links/{link}/": Call(MANAGE, status=204),
    "GET subscribers/{who}-pull/runs/": Call(MANAGE),
    "POST subscribers/{who}-pull/runs/": Call(MANAGE, {"kind": "replay"}, 201),
    "GET subscribers/{who}-pull/runs/{run}/": Call(MANAGE),
    "PATCH subscribers/{who}-pull/runs/{run}/": Call(MANAGE, {"state": "paused"}),
    "DELETE subscribers/{who}-pull/runs/{run}/": Call(MANAGE, status=204),
    "GET subscribers/{who}-pull/digest/": Call({*CONSUME, *MANAGE}),
    "POST subscribers/{who}-pull/pull/": Call(CONSUME),
    "POST deliveries/{done}/resend/": Call(MANAGE, status=202),
    "POST deliveries/{waiting}/skip/": Call(MANAGE),
    "GET failed-tasks/": Call(MANAGE, foreign=None),
    "POST failed-tasks/{task}/edit-and-retry/": Call(MANAGE, {"data": {"n": 1}}),
    "POST failed-tasks/{spare_task}/redirect/": Call(
        MANAGE, {"subscriber": "{who}-hook"}
    ),
    "POST failed-tasks/{settled_task}/restore/": Call(MANAGE),
    "GET failed-tasks/groups/": Call(MANAGE, foreign=None),
    "POST failed-tasks/groups/{group}/retry/": Call(MANAGE, status=202),
    "POST failed-tasks/groups/{group}/discard/": Call(MANAGE),
    "POST failed-tasks/groups/{ramped}/cancel-retry/": Call(MANAGE),
    "POST subscribers/{who}-hook/retry-failed-tasks/": Call(MANAGE, status=202),
    "POST failed-tasks/{task}/retry/": Call(MANAGE),
    "POST failed-tasks/{task}/discard/": Call(MANAGE),
    "GET ingress-failed-tasks/": Call(MANAGE, foreign=None, bound=200),
    "POST ingress-failed-tasks/{ingress}/discard/": Call(MANAGE, bound=404),
    # A lost lease is 409 for its entry, as is that of another's delivery.
    "POST deliveries/ack/": Call(CONSUME, NAMED, foreign=409),
    "POST deliveries/nack/": Call(CONSUME, NAMED, foreign=409),
    "POST deliveries/release/": Call(CONSUME, NAMED, foreign=409),
    "POST deliveries/extend/": Call(
        CONSUME, {**NAMED, "lease_seconds": 30}, foreign=409
    ),
    "GET schemas/": Call(SCHEMAS, foreign=None),
    "POST schemas/": Call(SCHEMAS, SCHEMA, 201, foreign=403),
    "DELETE schemas/{schema}/": Call(SCHEMAS, status=204),
}
#: Open to everybody: they tell nothing of what is recorded.
PUBLIC = {"GET docs/", "GET schema/"}


def operations() -> Iterator[str]:
    """Method and path of every call that the resolver leads to."""
    for pattern in urlpatterns:
        view = getattr(pattern.callback, "view_class", None)
        methods = getattr(view, "http_method_names", ["get"]) if view else ["get"]
        for method in methods:
            if hasattr(view, method) and method not in ("options", "head"):
                yield f"{method.upper()} {_shape(str(pattern.pattern))}"
        if view is None:
            yield f"GET {_shape(str(pattern.pattern))}"


def _shape(path: str) -> str:
    """What stands in angle brackets, as a star."""
    parts = path.partition("?")[0].split("/")
    return "/".join("*" if "<" in part or "{" in part else part for part in parts)


def test_every_call_has_a_row() -> None:
    rows = {_shape(name) for name in {*CALLS, *PUBLIC}}
    assert set(operations()) - {"GET "} == rows


def make_rows() -> dict[str, dict[str, Any]]:
    return {who: _things_of(who) for who in ("own", "other")}


@pytest.fixture
def world(shared_rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return shared_rows


def _things_of(who: str) -> dict[str, Any]:
    limits: dict[str, Any] = {
        "events": [f"{who}.*"],
        "allowed_types": [f"{who}.*"],
        "allowed_sources": [f"/{who}"],
    }
    url = "https://crm.example/"
    hook = a_subscriber(
        f"{who}-hook", transport="webhook", url=url, breaker="open", **limits
    )
    pull = a_subscriber(f"{who}-pull", transport="pull", **limits)
    event, dead, done = (
        an_event(source=f"/{who}", type=f"{who}.thing") for _ in range(3)
    )
    leased = a_delivery(
        dead, pull, "LEASED", lease_token=TOKEN, pulled_at=timezone.now()
    )
    a_delivery(event, pull)
    ingress = IngressFailedTask.objects.create(
        bridge=who, digest=who, body=b"{", problem="no JSON"
    )
    schema, _ = register_schema(f"{who}.old", {"$id": f"urn:{who}"}, by="test")
    run = open_run(pull, start=0, end=1, kind="replay", requested_by=who)
    task = a_failed_task(a_delivery(dead, hook, "DEAD"))
    settled = a_failed_task(a_delivery(done, hook, "CANCELLED"), state="discarded")
    ramped_task = a_failed_task(
        a_delivery(event, hook, "DEAD", run=1), error="E: unlike"
    )
    spare_event = an_event(source=f"/{who}", type=f"{who}.rare")
    hook_alone = a_failed_task(a_delivery(spare_event, pull, "DEAD"), error="E: rare")
    group_by_cause()
    ramped_task.refresh_from_db()
    ramped = begin_ramped_retry(hook.pk, group=ramped_task.group, by="test")
    link, _ = create_portal_link([hook], label=who, by="test")
    AuditEntry.objects.all().delete()
    return {
        "who": who,
        "run": run.number,
        "link": link.pk,
        "event": event.pk,
        "waiting": a_delivery(event, hook).pk,
        "done_event": done.pk,
        "done": a_delivery(done, pull, "ACKNOWLEDGED").pk,
        "leased": leased.pk,
        "task": task.pk,
        "settled_task": settled.pk,
        "spare_task": hook_alone.pk,
        "group": FailedTask.objects.get(pk=task.pk).group_id,
        "ramped": ramped.group_id,
        "schema": schema.pk,
        "ingress": ingress.pk,
    }


def a_key(scopes: Any, **fields: Any) -> str:
    return ApiKey.make(uuid.uuid4().hex, scopes=list(scopes), **fields)[1]


def make(client: Client, name: str, things: dict[str, Any], key: str = "") -> Any:
    method, path = _filled(name, things).split(" ")
    body = _filled(CALLS[name].body if name in CALLS else {}, things)
    return client.generic(
        method,
        f"/api/{path}",
        json.dumps(body) if method != "GET" else "",
        content_type=_content_type(name),
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


def _content_type(name: str) -> str:
    of_event = name == "POST events/"
    return "application/cloudevents+json" if of_event else "application/json"


def _filled(shape: Any, things: dict[str, Any]) -> Any:
    if isinstance(shape, dict):
        return {name: _filled(value, things) for name, value in shape.items()}
    if isinstance(shape, list):
        return [_filled(value, things) for value in shape]
    if not isinstance(shape, str):
        return shape
    text = shape.format(**things)
    return int(text) if shape == "{leased}" else text


def status_of(response: Any) -> int:
    """The answer's, or that of its only entry."""
    results = response.json().get("results") if response.content else None
    if results and "status" in results[0]:
        return int(results[0]["status"])
    return int(response.status_code)


def state() -> list[Any]:
    return [list(model._default_manager.order_by("pk").values()) for model in KEPT]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_needs_a_key_with_its_scope(
    client: Client, name: str, world: dict[str, dict[str, Any]]
) -> None:
    client.force_login(User.objects.create_superuser("carla"))
    revoked = a_key(SCOPES, revoked_at=timezone.now())
    expired = a_key(SCOPES, expires_at=timezone.now() - timedelta(seconds=1))
    before = state()

    for key in ("", "fanfare_guess", revoked, expired):
        assert_problem(make(client, name, world["own"], key), 401)
    for scope in set(SCOPES) - CALLS[name].scopes:
        assert_problem(make(client, name, world["own"], a_key([scope])), 403)
    for scope in CALLS[name].scopes if CALLS[name].beside else ():
        assert_problem(make(client, name, world["own"], a_key([scope])), 403)
    assert state() == before
    for scope in CALLS[name].scopes:
        with undone():
            key = a_key([scope, *CALLS[name].beside])
            done = make(client, name, world["other"], key)
            assert status_of(done) == CALLS[name].status, done.content


@pytest.mark.parametrize("name", CALLS)
def test_a_bound_key_reaches_its_own_alone(
    client: Client, name: str, world: dict[str, dict[str, Any]]
) -> None:
    call, key = CALLS[name], a_key(SCOPES, **BOUND)
    with undone():
        own = make(client, name, world["own"], key)
        assert status_of(own) == (call.bound or call.status), own.content
        if call.foreign is None and not call.bound:
            assert b"own" in own.content
        assert b"other" not in own.content
    if call.foreign is not None:
        before = state()
        foreign = make(client, name, world["other"], key)
        assert status_of(foreign) == call.foreign, foreign.content
        assert state() == before


@pytest.mark.parametrize("name", [name for name in CALLS if "{" in name])
def test_what_is_foreign_answers_as_what_is_not_there(
    client: Client, name: str, world: dict[str, dict[str, Any]]
) -> None:
    key = a_key(SCOPES, **BOUND)
    missing = {**dict.fromkeys(world["other"], 999_999), "who": "nobody"}

    foreign = make(client, name, world["other"], key)
    unknown = make(client, name, missing, key)

    place = next(n for n, part in enumerate(name.split("/")) if "{" in part)
    named, none = (
        _filled(name, things).split("/")[place] for things in (world["other"], missing)
    )
    detail = assert_problem(foreign, 404)["detail"]
    # A body may name a subscriber, too.
    told = re.sub(rf"\b{named}\b", none, detail).replace("other-", "nobody-")
    assert told == unknown.json()["detail"]
    assert unknown.status_code == 404


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_the_description_is_open(client: Client, name: str) -> None:
    assert make(client, name, {}).status_code == 200


def test_every_pattern_is_a_plain_one() -> None:
    """A nested include would hide its calls from this table."""
    assert all(isinstance(pattern, URLPattern) for pattern in urlpatterns)
