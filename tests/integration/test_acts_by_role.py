"""What each role may do: buttons that say which role they need, and the server's no."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from config.env import BASE_DIR
from router.groups import ACTS
from router.models import AuditEntry
from tests.integration.acted_on import rows
from tests.integration.acts import BY_ADMIN, post
from tests.integration.staff import a_manager, a_person, a_viewer, an_operator

PEOPLE: dict[str, Callable[[], Client]] = {
    "Viewer": a_viewer,
    "Operator": an_operator,
    "Manager": a_manager,
}
ORDER = list(PEOPLE)
#: Acts that operators lack; they have all others.
OF_MANAGERS = {
    "subscriber_add",
    "subscriber_edit",
    "subscriber_remove",
    "subscriber_rotate",
    "subscriber_portal_link",
    "subscriber_revoke_portal_link",
    "apikey_add",
    "apikey_revoke",
    "eventschema_add",
    "eventschema_retire",
}
OPERATOR, MANAGER = "Operator", "Manager"
#: Page → its buttons, and the role that each needs. Of a list: those that it withholds.
BUTTONS: dict[str, dict[str, str]] = {
    "": {"Try now": OPERATOR},
    "subscriber/{crm}/change/": {
        "Load history": OPERATOR,
        "Replay…": OPERATOR,
        "Pause": OPERATOR,
        "Send test event": OPERATOR,
        "Save rules": OPERATOR,
        "Send a test alert": OPERATOR,
        "Change": MANAGER,
        "Delete": MANAGER,
        "Rotate secret": MANAGER,
        "Create portal link": MANAGER,
        "Revoke": MANAGER,
    },
    "subscriber/{held}/change/": {
        "Load history": OPERATOR,
        "Replay…": OPERATOR,
        "Resume": OPERATOR,
        "Send test event": OPERATOR,
        "Save rules": OPERATOR,
        "Send a test alert": OPERATOR,
        "Change": MANAGER,
        "Delete": MANAGER,
    },
    "subscriber/{down}/change/": {
        "Load history": OPERATOR,
        "Replay…": OPERATOR,
        "Pause": OPERATOR,
        "Send test event": OPERATOR,
        "Save rules": OPERATOR,
        "Send a test alert": OPERATOR,
        "Try now": OPERATOR,
        "Close the breaker": OPERATOR,
        "Change": MANAGER,
        "Delete": MANAGER,
        "Rotate secret": MANAGER,
    },
    "run/{run}/change/": {
        "Pause": OPERATOR,
        "Save rate": OPERATOR,
        "Cancel the run": OPERATOR,
    },
    "run/{idle}/change/": {
        "Resume": OPERATOR,
        "Save rate": OPERATOR,
        "Cancel the run": OPERATOR,
    },
    "delivery/{waiting}/change/": {"Skip this event": OPERATOR},
    "delivery/{done}/change/": {"Send again": OPERATOR},
    "eventrecord/{event}/change/": {"Send again": OPERATOR},
    "failedtask/{task}/change/": {
        "Retry": OPERATOR,
        "Discard": OPERATOR,
        "Edit and retry…": OPERATOR,
        "Redirect": OPERATOR,
        "Keep notes": OPERATOR,
    },
    "failedtask/{settled}/change/": {"Restore": OPERATOR, "Keep notes": OPERATOR},
    "failedtaskgroup/{group}/change/": {
        "Retry": OPERATOR,
        "Edit and retry…": OPERATOR,
        "Discard": OPERATOR,
        "Keep notes": OPERATOR,
    },
    "failedtaskgroup/{ramped}/change/": {
        "Cancel the retry": OPERATOR,
        "Keep notes": OPERATOR,
    },
    "failedtaskgroup/?subscriber={mail}": {
        "Retry at a ramp": OPERATOR,
        "Cancel the retry": OPERATOR,
    },
    "ingressfailedtask/{ingress}/change/": {"Publish": OPERATOR, "Discard": OPERATOR},
    "auditentry/{entry}/change/": {"Add note": OPERATOR},
    "apikey/{key}/change/": {"Revoke for good": MANAGER},
    "eventschema/{schema}/change/": {"Retire": MANAGER},
    "failedtask/": {"Retry…": OPERATOR, "Discard…": OPERATOR},
    "ingressfailedtask/": {"Discard…": OPERATOR},
    "subscriber/": {"Add subscriber": MANAGER},
    "apikey/": {"Add API key": MANAGER},
    "eventschema/": {"Add schema": MANAGER},
}
#: Templates whose buttons nobody sees without the permission, or that only ask.
UNMARKED = {
    "api_key_add.html",
    "causes.html",
    "event_schema_add.html",
    "explain_choice.html",
    "failed_task_edit.html",
    "find.html",
    "run_begin.html",
    "settle.html",
    "subscriber_delete.html",
    "subscriber_form.html",
}
ELEMENT = re.compile(
    r'<(button|a) (?P<attributes>[^>]*class="fan-button[^>]*)>(?P<words>.*?)</\1>', re.S
)


make_rows = rows


@pytest.fixture
def world(shared_rows: dict[str, Any]) -> dict[str, Any]:
    return shared_rows


def words_of(html: str) -> str:
    """Without icons, whose names are text too."""
    shown = re.sub(r"<span class=\"material[^>]*>.*?</span>", "", html)
    return unescape(strip_tags(shown)).strip()


def buttons(page: str) -> dict[str, str | None]:
    """Label → why it is disabled; None where it acts."""
    found: dict[str, str | None] = {}
    for match in ELEMENT.finditer(page.partition("<main")[2]):
        words, _, reason = match["words"].partition("<small>")
        is_disabled = 'aria-disabled="true"' in match["attributes"]
        assert is_disabled == bool(reason)
        found[words_of(words)] = words_of(reason) if is_disabled else None
    return found


def has(role: str, needed: str) -> bool:
    return ORDER.index(role) >= ORDER.index(needed)


def needed_by(name: str) -> str:
    return MANAGER if name in OF_MANAGERS else OPERATOR


@pytest.mark.parametrize("role", PEOPLE)
def test_each_page_shows_which_role_its_acts_need(
    role: str, world: dict[str, Any]
) -> None:
    person = PEOPLE[role]()
    expected, shown = {}, {}
    for page, acts in BUTTONS.items():
        is_list = page.endswith("/") and not page.endswith("change/") and page
        answer = person.get(f"/admin/{'router/' if page else ''}{page}".format(**world))
        found = buttons(answer.content.decode())
        for label, needed in acts.items():
            may = has(role, needed)
            expected[page, label] = None if may else f"Needs the role {needed}"
            shown[page, label] = found.get(label, None if is_list else "not shown")
        assert set(found.values()) <= {None, *expected.values()}, page

    assert shown == expected


def test_the_buttons_of_no_act_escape() -> None:
    folder = BASE_DIR / "router" / "templates" / "router" / "admin"
    with_buttons = {
        path.name for path in folder.glob("*.html") if "<button" in path.read_text()
    }
    assert with_buttons == UNMARKED


@pytest.mark.parametrize("role", ["Viewer", "Operator"])
def test_the_server_refuses_what_another_role_may_and_names_it(
    role: str, world: dict[str, Any]
) -> None:
    person, refused = PEOPLE[role](), {}
    for name in BY_ADMIN:
        answer = post(person, name, world) if not has(role, needed_by(name)) else None
        if answer is not None:
            words = re.search(r"Needs the role (\w+)\.", answer.content.decode())
            refused[name] = (answer.status_code, words and words[1])

    assert refused == {
        name: (403, needed_by(name))
        for name in BY_ADMIN
        if not has(role, needed_by(name))
    }
    assert not AuditEntry.objects.exclude(action="tests.begun").exists()


def test_a_page_that_a_person_may_not_see_names_the_role(
    world: dict[str, Any],
) -> None:
    address = reverse("admin:router_subscriber_change", args=[world["crm"]])
    refused = a_person("paula").get(address)
    assert refused.status_code == 403
    assert "Needs the role Viewer." in refused.content.decode()


def test_a_disabled_button_is_reached_by_the_keyboard_and_sends_nothing(
    world: dict[str, Any],
) -> None:
    page = a_viewer().get(f"/admin/router/subscriber/{world['crm']}/change/")
    disabled = re.findall(r"<[^>]*aria-disabled[^>]*>", page.content.decode())
    assert disabled
    for element in disabled:
        assert element.startswith('<button type="button"')
        assert not re.search(r" (disabled|tabindex|href|formaction)\b", element)


def test_the_docs_name_what_each_permission_of_a_role_opens() -> None:
    text = (BASE_DIR / "docs" / "security-model.md").read_text()
    named = dict(re.findall(r"^\| `(\w+)` \| \*(\w+)\* \|", text, re.M))
    assert named == ACTS
