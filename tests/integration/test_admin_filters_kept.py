"""A list of the admin keeps its filters after an act from it."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.test import Client

from router.admin import failed_task
from router.models import FailedTask
from router.operate.api_keys import issue_key
from tests.integration.rows import a_delivery, a_failed_task, a_subscriber, an_event
from tests.integration.staff import an_operator, messages_of

pytestmark = pytest.mark.usefixtures("empty_router")
ADMIN = "/admin/router"
FILTERS = "state=open&q=order-1"
KEPT = f"_changelist_filters={quote(FILTERS, safe='')}"


def a_task() -> FailedTask:
    mail = a_subscriber(f"mail-{FailedTask.objects.count()}")
    return a_failed_task(a_delivery(an_event(), mail, "DEAD"))


def asked(client: Client, verb: str, *tasks: FailedTask, everything: str = "0") -> str:
    """The page that asks for the reason, as an action of the filtered list."""
    form = {
        "action": f"{verb}_selected",
        "_selected_action": [task.pk for task in tasks],
        "select_across": everything,
    }
    page = client.post(f"{ADMIN}/failedtask/?{FILTERS}", form)
    return f"{messages_of(page)} {page.content.decode()}"


@pytest.mark.parametrize("verb", ["retry", "discard"])
def test_a_bulk_act_leads_back_to_the_filtered_list(verb: str) -> None:
    client, tasks = an_operator(), [a_task(), a_task()]
    page = asked(client, verb, *tasks)

    settle = f"{ADMIN}/failedtask/settle/?{KEPT}"
    assert f'action="{settle}"' in page
    assert f'href="{ADMIN}/failedtask/?{FILTERS.replace("&", "&amp;")}"' in page
    ids = ",".join(str(task.pk) for task in tasks)
    done = client.post(settle, {"ids": ids, "verb": verb, "note": "well again"})
    assert done.headers["Location"] == f"{ADMIN}/failedtask/?{FILTERS}"


def test_a_reason_that_is_missing_keeps_the_filters() -> None:
    settle = f"{ADMIN}/failedtask/settle/?{KEPT}"
    form = {"ids": str(a_task().pk), "verb": "retry", "note": ""}
    page = an_operator().post(settle, form).content.decode()
    assert f'action="{settle}"' in page


def test_a_row_of_the_list_is_settled_and_leads_back() -> None:
    client, task = an_operator(), a_task()
    address = f"{ADMIN}/failedtask/{task.pk}/change/?{KEPT}"
    listed = client.get(f"{ADMIN}/failedtask/?{FILTERS}").content.decode()
    page = client.get(address).content.decode()
    settle = f"{ADMIN}/failedtask/settle/?{KEPT}"
    form = {"ids": str(task.pk), "verb": "retry", "note": "well again"}

    assert f'href="{address}"' in listed
    assert f'action="{settle}"' in page
    assert f'href="{ADMIN}/failedtask/?{FILTERS.replace("&", "&amp;")}"' in page
    assert client.post(settle, form).headers["Location"] == address


@pytest.mark.parametrize(
    "act", ["pause", "resume", "schedule", "pace", "try-now", "close-breaker"]
)
def test_acts_on_a_subscriber_keep_the_filters_of_its_list(act: str) -> None:
    row = a_subscriber("mail")
    client = an_operator()
    page = client.get(f"{ADMIN}/subscriber/{row.pk}/change/?{KEPT}").content.decode()
    answer = client.post(
        f"{ADMIN}/subscriber/{row.pk}/{act}/?{KEPT}", {"reason": "new paper"}
    )
    assert f"?{KEPT}" in page
    assert answer.headers["Location"].endswith(f"/change/?{KEPT}")


def test_other_acts_keep_them_too(admin_client: Client) -> None:
    key, _ = issue_key("partner", scopes=["publish"], by="test")
    done = a_delivery(an_event(), a_subscriber("mail"), "ACKNOWLEDGED")
    revoked = admin_client.post(f"{ADMIN}/apikey/{key.pk}/revoke/?{KEPT}")
    resent = admin_client.post(
        f"{ADMIN}/delivery/{done.pk}/resend/?{KEPT}", {"is_sure": "1"}
    )
    for answer in (revoked, resent):
        assert answer.headers["Location"].endswith(f"/change/?{KEPT}")


def test_filters_lead_to_no_other_site() -> None:
    hostile = quote("//evil.example/?a=b", safe="")
    settle = f"{ADMIN}/failedtask/settle/?_changelist_filters={hostile}"
    tasks = [a_task(), a_task()]
    ids = ",".join(str(task.pk) for task in tasks)
    form = {"ids": ids, "verb": "retry", "note": "well again"}
    location = an_operator().post(settle, form).headers["Location"]
    assert location.startswith(f"{ADMIN}/failedtask/")


def test_a_choice_beyond_one_act_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failed_task, "MAX_AT_ONCE", 1)
    tasks = [a_task(), a_task()]
    page = asked(an_operator(), "retry", *tasks, everything="1")
    assert "2 failed tasks are chosen, and one act settles at most 1" in page
