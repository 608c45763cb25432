from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.web.content_security import ADMIN
from router.models import Heartbeat, LogHead
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import a_person, a_viewer

pytestmark = pytest.mark.usefixtures("empty_router")

HOME = "/admin/"


def numbers(client: Client) -> dict[str, object]:
    context = client.get(HOME).context
    names = ("recorded", "unrouted", "held", "retrying", "open_failed")
    return {name: context[name] for name in names}


def signs(client: Client) -> dict[str, str]:
    return {sign.name: sign.state for sign in client.get(HOME).context["signs"]}


def test_it_tells_what_is_on_its_way() -> None:
    mail = a_subscriber("mail")
    a_delivery(an_event(), mail)
    a_delivery(an_event(), mail, failures=1)
    a_failed_task(a_delivery(an_event(), mail, "DEAD"))
    an_event(is_routed=False)
    LogHead.objects.update_or_create(pk=1, defaults={"position": 3})
    viewer = a_viewer()

    assert numbers(viewer) == {
        "recorded": 4,
        "unrouted": 1,
        "held": "2",
        "retrying": 1,
        "open_failed": 1,
    }
    page = viewer.get(HOME).content.decode()
    assert "1 failed task needs attention" in page
    assert '<text x="704" y="78" class="fan-name">Mail</text>' in page
    assert "0/s · 2 held" in page


@pytest.mark.parametrize(
    ("is_alive", "acknowledged", "tone"),
    [(True, True, "ok"), (True, False, "quiet"), (False, True, "quiet")],
)
def test_green_is_not_shown_for_what_is_not_known(
    request: pytest.FixtureRequest, is_alive: bool, acknowledged: bool, tone: str
) -> None:
    now = timezone.now()
    a_subscriber(
        "mail", transport="pull", last_acknowledged_at=now if acknowledged else None
    )
    if is_alive:
        request.getfixturevalue("alive")
    (place,) = a_viewer().get(HOME).context["flow"].places
    assert place.tone == tone


def test_a_still_router_says_what_will_appear() -> None:
    page = a_viewer().get(HOME).content.decode()

    assert "@subscriber" in page
    assert "waits for a person" not in page


def test_it_costs_the_same_for_more_rows() -> None:
    viewer = a_viewer()

    def statements(number: int) -> int:
        a_delivery(an_event(), a_subscriber(f"subscriber_{number}"))
        with CaptureQueriesContext(connection) as queries:
            viewer.get(HOME)
        return len(queries)

    # A process that has shown no page yet looks up its content types first.
    statements(1)
    assert statements(2) == statements(3) == statements(4)


@pytest.mark.usefixtures("alive")
def test_the_dashboard_shows_signs_of_life() -> None:
    assert signs(a_viewer()) == dict.fromkeys(
        ("Dispatcher", "Workers", "Broker", "Database"), "alive"
    )


def test_old_signs_of_life_are_no_signs() -> None:
    Heartbeat.objects.create(
        name="dispatcher",
        kind=Heartbeat.Kind.DISPATCHER,
        beat_at=timezone.now() - timedelta(minutes=5),
        is_broker_reachable=True,
    )

    assert signs(a_viewer()) == {
        "Dispatcher": "silent",
        "Workers": "silent",
        "Broker": "unknown",
        "Database": "alive",
    }


def test_the_dashboard_says_that_the_dispatcher_cannot_reach_the_broker() -> None:
    Heartbeat.objects.create(
        name="dispatcher",
        kind=Heartbeat.Kind.DISPATCHER,
        beat_at=timezone.now(),
        is_broker_reachable=False,
    )

    assert signs(a_viewer())["Broker"] == "disconnected"


def test_staff_without_a_role_see_no_numbers() -> None:
    a_failed_task(a_delivery(an_event(), a_subscriber("mail"), "DEAD"))

    page = a_person("nina").get(HOME).content.decode()

    assert "waits for a person" not in page
    assert "Viewers, Operators and Managers" in page
    assert "/admin/router/event" not in page


def test_the_admin_runs_no_inline_script() -> None:
    answer = a_viewer().get(HOME)

    assert answer.headers["Content-Security-Policy"] == ADMIN
    assert "script-src 'self' 'unsafe-eval';" in ADMIN


@pytest.mark.parametrize("name", ["auth/user", "auth/group"])
def test_users_and_groups_wear_the_same_theme(admin_client: Client, name: str) -> None:
    page = admin_client.get(f"/admin/{name}/add/").content.decode()

    assert "unfold/css/styles" in page
    assert "nav-sidebar" in page
