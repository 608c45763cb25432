"""Runs over HTTP that have nothing to give, or lose their ground: a clear answer, and
nothing of the others is lost."""

from __future__ import annotations

from typing import Any

import pytest

from router.flow.route.run_windows import finish_runs
from router.models import Delivery, EventRecord, LogHead, Run
from router.testing import deliver_due
from tests.contract.steps import publish_and_route
from tests.contract.test_runs_by_api import RUNS, begin, call, create, log
from tests.integration.api import assert_problem

pytestmark = pytest.mark.django_db(transaction=True)
# The fixture: ten events that no subscriber was there for.
__all__ = ["log"]


def test_a_filter_that_matches_nothing_gives_nothing_and_ends() -> None:
    create()
    wanted = {"filter": {"exact": {"source": "/nowhere"}}}
    preview = call("POST", RUNS, {"kind": "replay", "dry_run": True, **wanted}).json()
    assert (preview["count"], preview["first_events"]) == (0, [])

    begin(**wanted)
    publish_and_route()
    deliver_due()
    finish_runs()

    shown = call("GET", f"{RUNS}1/").json()
    assert (shown["state"], shown["count"]) == ("complete", 0)
    assert Delivery.objects.get().run == 0, "the live event is owed as ever"


def test_what_was_pruned_is_refused_with_where_the_log_begins() -> None:
    create()
    EventRecord.objects.filter(position__lte=4).delete()
    LogHead.objects.update(pruned_to=4)

    for body in ({"kind": "backfill"}, {"kind": "replay"}):
        refused = call("POST", RUNS, {**body, "from": {"position": 3}})
        problem = assert_problem(refused, 422)
        assert "lies before position 5" in problem["detail"]
    assert call("POST", RUNS, {"kind": "backfill"}).json()["from"] == 5


def test_a_subscriber_that_is_deleted_in_the_middle_takes_its_run_along() -> None:
    for name in ("erp", "crm"):
        assert create(name=name, **{"from": "beginning"}).status_code == 201
    deliver_due()
    leased = pull("erp", most=2)

    assert call("DELETE", "subscribers/erp/").status_code == 204

    deliver_due()
    states = dict(Run.objects.values_list("subscriber__name", "state"))
    assert states == {"erp": "cancelled", "crm": "active"}
    assert_problem(call("GET", RUNS), 404)
    assert_problem(call("POST", "subscribers/erp/pull/", {"max": 1}, "consume"), 404)
    late = call("POST", "deliveries/ack/", {"deliveries": leased}, "consume")
    assert {entry["status"] for entry in late.json()["results"]} == {409}
    assert not Delivery.objects.open().filter(subscriber__name="erp").exists()
    assert len(pull("crm", most=100)) == 9


def pull(name: str, *, most: int) -> list[dict[str, Any]]:
    """The leases of what is pulled."""
    pulled = call("POST", f"subscribers/{name}/pull/", {"max": most}, "consume")
    rows = pulled.json()["deliveries"]
    return [{key: row[key] for key in ("id", "lease_token")} for row in rows]
