"""What an owner does in the portal is done, checked as by the API, and audited."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from router.models import (
    ApiKey,
    AuditEntry,
    Delivery,
    EventRecord,
    FailedTask,
    Run,
    SigningSecret,
    Subscriber,
)
from router.operate.declared import pause
from router.testing import route
from tests.integration.api import send
from tests.integration.portal import Owner, Things, an_owner, things_of
from tests.integration.rows import a_delivery, an_event

pytestmark = pytest.mark.usefixtures("empty_router")
HOOK, PULL = "endpoints/own-hook/", "endpoints/own-pull/"


@pytest.fixture
def own() -> Things:
    return things_of("own")


@pytest.fixture
def owner(own: Things) -> Owner:
    made = an_owner(*own.rows)
    AuditEntry.objects.all().delete()
    return made


def audit() -> list[tuple[str, str, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return list(rows.values_list("actor", "action", "target"))


def assert_done(answer: Any, news: str, name: str = "own-hook") -> None:
    assert answer.status_code == 302, answer.content
    assert answer["Location"] == f"/portal/endpoints/{name}/?done={news}"


# ── Address and event types ───────────────────────────────────────────────────


def test_an_owner_changes_the_address(owner: Owner, own: Things) -> None:
    url = "https://new.example/in?key=abcdefghijklmnop"

    assert_done(owner.post(f"{HOOK}address/", url=url), "address")

    row = Subscriber.objects.get(pk=own.hook.pk)
    assert row.address == url
    assert audit() == [("portal: Ada", "subscriber.changed", "subscriber own-hook")]
    assert "abcdefghijklmnop" not in owner.text(HOOK)


@pytest.mark.parametrize(
    "url",
    [
        "", "https://", "http://new.example/", "https://127.0.0.1/", "https://[::1]/",
        "https://169.254.169.254/latest/", "javascript:alert(1)", "https://a b/",
        "https://user:pass@10.0.0.1/",
    ],
)  # fmt: skip
def test_an_address_that_the_api_refuses_is_refused(
    owner: Owner, own: Things, url: str
) -> None:
    answer = owner.post(f"{HOOK}address/", url=url)

    assert answer.status_code == 422
    assert "errorlist" in answer.content.decode()
    assert Subscriber.objects.get(pk=own.hook.pk).address == own.hook.address
    assert audit() == []


def test_an_address_is_of_webhooks_alone(owner: Owner, own: Things) -> None:
    assert owner.post(f"{PULL}address/", url="https://new.example/").status_code == 422
    row = Subscriber.objects.get(pk=own.pull.pk)
    assert (row.transport, row.url) == ("pull", "")


def test_an_owner_chooses_event_types_within_the_limits(
    owner: Owner, own: Things
) -> None:
    an_event(type="own.more")

    assert "own.more" in owner.text(f"{HOOK}types/")
    answer = owner.post(f"{HOOK}types/save/", events=["own.thing", "own.more"])

    assert_done(answer, "types")
    row = Subscriber.objects.get(pk=own.hook.pk)
    assert sorted(row.events) == ["own.more", "own.thing"]
    assert row.allowed_types == ["own.*"]


@pytest.mark.parametrize("events", [[], ["*"], ["rival.thing"], ["own.*", "rival.*"]])
def test_an_event_type_beyond_the_limits_is_refused(
    owner: Owner, own: Things, events: list[str]
) -> None:
    an_event(type="rival.thing")

    answer = owner.post(f"{HOOK}types/save/", events=events)

    assert answer.status_code == 422
    assert Subscriber.objects.get(pk=own.hook.pk).events == ["own.*"]


def test_without_limits_an_owner_chooses_no_event_types(
    owner: Owner, own: Things
) -> None:
    """Every event of the site would be within them."""
    Subscriber.objects.filter(pk=own.hook.pk).update(allowed_types=["*"])
    an_event(type="rival.thing")

    page = owner.text(f"{HOOK}types/")
    answer = owner.post(f"{HOOK}types/save/", events=["own.thing"])

    assert "rival.thing" not in page
    assert '<form method="post" action="/portal/endpoints' not in page
    assert answer.status_code == 422
    assert Subscriber.objects.get(pk=own.hook.pk).events == ["own.*"]


# ── The signing secret ────────────────────────────────────────────────────────


def test_the_secret_is_shown_when_it_is_asked_for(owner: Owner, own: Things) -> None:
    assert own.secret not in owner.text(HOOK)

    page = owner.post(f"{HOOK}secret/").content.decode()

    assert own.secret in page
    assert owner.get(f"{HOOK}secret/").status_code == 405
    assert audit()[0][1] == "subscriber.secret_shown"


def test_a_rotated_secret_signs_beside_the_old_one(owner: Owner, own: Things) -> None:
    before = own.secret

    assert_done(owner.post(f"{HOOK}rotate/"), "rotated")

    page = owner.post(f"{HOOK}secret/").content.decode()
    secrets = re.findall(r"whsec_[\w+/=]{40,}", page)
    assert len(set(secrets)) == 2
    assert before in secrets
    ends = SigningSecret.objects.get(expires_at__isnull=False).expires_at
    assert ends is not None
    assert ends > timezone.now() + timedelta(hours=23)


def test_too_many_secrets_are_refused_with_the_reason(owner: Owner) -> None:
    for _ in range(4):
        owner.post(f"{HOOK}rotate/")

    refused = owner.post(f"{HOOK}rotate/")
    ended = owner.post(f"{HOOK}rotate/", end_old_secrets="on")

    assert refused.status_code == 409
    assert "secrets sign" in refused.content.decode()
    assert_done(ended, "rotated")
    assert SigningSecret.objects.live().count() == 2


def test_a_puller_has_no_secret(owner: Owner) -> None:
    assert owner.post(f"{PULL}secret/").status_code == 409
    assert owner.post(f"{PULL}rotate/").status_code == 409


# ── Test, pause, resume, resend, recover ──────────────────────────────────────


def test_a_test_event_is_for_this_endpoint_alone(owner: Owner, own: Things) -> None:
    assert_done(owner.post(f"{HOOK}test/"), "tested")

    event = EventRecord.objects.get(type="router.test")
    assert event.only_for_id == own.hook.pk


def test_an_owner_pauses_and_resumes(owner: Owner, own: Things) -> None:
    assert_done(owner.post(f"{HOOK}pause/"), "paused")
    assert "You paused it" in owner.text(HOOK)
    assert_done(owner.post(f"{HOOK}resume/"), "resumed")

    assert Subscriber.objects.get(pk=own.hook.pk).state == "active"
    assert [line[:2] for line in audit()] == [
        ("portal: Ada", "subscriber.paused"),
        ("portal: Ada", "subscriber.resumed"),
    ]


@pytest.mark.parametrize("reason", ["", "the receiver sends us mail", "portal: x"])
def test_an_operator_s_pause_is_the_operator_s_to_end(
    owner: Owner, own: Things, reason: str
) -> None:
    pause(own.hook.pk, reason=reason, by="user mallory")

    page = owner.text(HOOK)
    answer = owner.post(f"{HOOK}resume/")

    assert "operator of this site paused it" in page
    # Who paused it, and why, is between staff.
    assert "mallory" not in page
    assert "sends us mail" not in page
    assert answer.status_code == 409
    assert Subscriber.objects.get(pk=own.hook.pk).state == "paused"


def test_an_owner_resumes_what_a_410_disabled(owner: Owner, own: Things) -> None:
    rows = Subscriber.objects.filter(pk=own.hook.pk)
    rows.update(state="disabled", state_reason="Its receiver answered 410")

    assert "410" in owner.text(HOOK)
    assert_done(owner.post(f"{HOOK}resume/"), "resumed")


def test_an_event_is_sent_again(owner: Owner, own: Things) -> None:
    path = f"{HOOK}deliveries/{own.delivery.pk}/"

    answer = owner.post(f"{path}resend/")

    assert answer["Location"] == f"/portal/{path}?done=resent"
    own.delivery.refresh_from_db()
    assert own.delivery.state == "PENDING"
    assert FailedTask.objects.get().settled_by_name == "portal: Ada"


def test_what_was_delivered_is_sent_again_as_another_delivery(
    owner: Owner, own: Things
) -> None:
    done = a_delivery(an_event(type="own.thing"), own.hook, "ACKNOWLEDGED")

    answer = owner.post(f"{HOOK}deliveries/{done.pk}/resend/")

    new = Delivery.objects.latest("pk")
    assert (new.event_id, new.origin) == (done.event_id, "replay")
    assert f"/deliveries/{new.pk}/?done=resent" in answer["Location"]
    assert owner.get(answer["Location"].removeprefix("/portal/")).status_code == 200


def test_what_is_still_owed_is_refused_with_the_reason(
    owner: Owner, own: Things
) -> None:
    waiting = a_delivery(an_event(type="own.thing"), own.hook)

    answer = owner.post(f"{HOOK}deliveries/{waiting.pk}/resend/")

    assert answer.status_code == 409
    assert "still owed" in answer.content.decode()


def test_recovery_gives_again_what_failed_since_a_time(
    owner: Owner, own: Things
) -> None:
    route()
    since = datetime.now(UTC) - timedelta(minutes=5)

    answer = owner.post(f"{HOOK}recover/", since=since.strftime("%Y-%m-%dT%H:%M"))

    assert_done(answer, "recovering")
    run = Run.objects.get()
    assert (run.only_failed, run.kind, run.requested_by) == (
        True,
        "replay",
        "portal: Ada",
    )
    assert run.subscriber_id == own.hook.pk
    assert "Replay 1" in owner.text(HOOK)


@pytest.mark.parametrize(
    ("since", "status"), [("", 422), ("yesterday", 422), ("2999-01-01T00:00", 409)]
)
def test_a_wrong_time_recovers_nothing(owner: Owner, since: str, status: int) -> None:
    answer = owner.post(f"{HOOK}recover/", since=since)

    assert answer.status_code == status
    assert not Run.objects.exists()


# ── Pull keys ──────────────────────────────────────────────────────────────────


def new_key(owner: Owner, **fields: str) -> str:
    page = owner.post(f"{PULL}keys/", label="warehouse", **fields).content.decode()
    found = re.search(r"fanfare_[\w-]{43}", page)
    assert found, page
    return found[0]


def test_a_pull_key_pulls_for_its_endpoint_and_does_nothing_else(
    owner: Owner, own: Things
) -> None:
    other = things_of("rival")
    text = new_key(owner, expires_in_days="30")

    key = ApiKey.objects.get(name="own-pull: warehouse")
    assert (key.scopes, key.subscribers) == (["consume"], ["own-pull"])
    assert (key.sources, key.types) == ([], [])
    assert key.expires_at is not None
    client = Client()
    pulled = send(client, "POST", "subscribers/own-pull/pull/", {}, key=text)
    assert pulled.status_code == 200, pulled.content
    for path in ("own-hook", other.pull.name):
        answer = send(client, "POST", f"subscribers/{path}/pull/", {}, key=text)
        assert answer.status_code == 404
    assert send(client, "GET", "subscribers/own-pull/", key=text).status_code == 403
    assert text not in owner.text(PULL)


def test_a_revoked_pull_key_opens_nothing(owner: Owner) -> None:
    text = new_key(owner)
    key = ApiKey.objects.get(name="own-pull: warehouse")

    assert_done(owner.post(f"{PULL}keys/{key.pk}/revoke/"), "revoked", "own-pull")

    pulled = send(Client(), "POST", "subscribers/own-pull/pull/", {}, key=text)
    assert pulled.status_code == 401
    assert [line[:2] for line in audit()] == [
        ("portal: Ada", "api_key.created"),
        ("portal: Ada", "api_key.revoked"),
    ]


@pytest.mark.parametrize(
    "fields", [{"label": ""}, {"label": "x" * 36}, {"expires_in_days": "0"}]
)
def test_a_wrong_form_makes_no_key(owner: Owner, fields: dict[str, str]) -> None:
    answer = owner.post(f"{PULL}keys/", **{"label": "x", **fields})

    assert answer.status_code == 422
    assert not ApiKey.objects.filter(name__startswith="own-pull: ").exists()


def test_the_name_of_another_s_key_is_not_told(owner: Owner) -> None:
    ApiKey.make("warehouse", scopes=["publish"])

    new_key(owner)
    again = owner.post(f"{PULL}keys/", label="warehouse")

    assert again.status_code == 422
    assert "own-pull: warehouse" in again.content.decode()


def test_a_webhook_has_no_pull_keys(owner: Owner) -> None:
    assert owner.post(f"{HOOK}keys/", label="x").status_code == 422
    assert not ApiKey.objects.filter(name__startswith="own-hook: ").exists()
