"""What a subscriber may pin: checked when it is saved, and by checks and `doctor`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from router.checks import check_settings
from router.flow.publish import registered_schemas
from router.management.doctor.schemas import examine_schemas
from router.models import EventSchema, Subscriber
from router.operate.schemas import register_schema, retire_schema
from router.public import subscriber
from router.registry import isolated
from tests.integration.api import assert_problem

TYPE = "parcel.lost"
ONE, TWO, THREE = (f"urn:test:parcel:{n}" for n in (1, 2, 3))
POINTER = f"/dataschemas/{TYPE}"
Call = Callable[..., Any]


def register(*versions: str) -> None:
    for version in versions:
        register_schema(TYPE, {"$id": version}, by="command")
    registered_schemas.forget()  # The test's transaction never commits.


@pytest.fixture(autouse=True)
def known(db: None, settings: Any) -> Iterator[None]:
    """Versions 1 and 2, and the way from one to the other."""
    downgrades = {TWO: (ONE, "builtins.dict")}
    settings.ROUTER = {**settings.ROUTER, "DOWNGRADES": downgrades}
    register(ONE, TWO)
    yield
    registered_schemas.forget()


def create(call: Call, **pins: str) -> Any:
    body = {"name": "erp", "transport": "pull", "events": ["parcel.*"]}
    return call("POST", "subscribers/", {**body, "dataschemas": pins})


def test_a_pin_is_kept_shown_and_ended(call: Call) -> None:
    created = create(call, **{TYPE: ONE})
    assert created.status_code == 201, created.json()
    assert created.json()["dataschemas"] == {TYPE: ONE}

    unpinned = call("PATCH", "subscribers/erp/", {"dataschemas": {}})
    assert unpinned.json()["dataschemas"] == {}


def test_the_admin_pins_shows_and_refuses(call: Call) -> None:
    create(call)
    row = Subscriber.objects.get(name="erp")
    chief = Client()
    chief.force_login(User.objects.create_superuser("carla"))
    edit = reverse("admin:router_subscriber_edit", args=[row.pk])
    filled = {"transport": "pull", "events": "parcel.*"}

    for wrong in ('["urn:x"]', f'{{"{TYPE}": "urn:x"}}'):
        refused = chief.post(edit, {**filled, "dataschemas": wrong})
        assert list(refused.context["form"].errors) == ["dataschemas"]
    chief.post(edit, {**filled, "dataschemas": f'{{"{TYPE}": "{ONE}"}}'})

    page = chief.get(reverse("admin:router_subscriber_change", args=[row.pk]))
    assert f">{ONE}</code>" in page.content.decode()
    assert ONE in str(chief.get(edit).context["form"]["dataschemas"].value())


@pytest.mark.parametrize(
    ("pins", "problem"),
    [
        ({TYPE: "urn:test:parcel:9"}, f"in force: {ONE}, {TWO}"),
        # Version 1 is in force as well, and nothing makes it newer.
        ({TYPE: TWO}, f"no downgrade leads from {ONE} to {TWO}: add one to ROUTER"),
    ],
)
def test_a_pin_that_can_not_hold_is_refused(
    call: Call, pins: dict[str, str], problem: str
) -> None:
    (error,) = assert_problem(create(call, **pins), 422)["errors"]

    assert error["pointer"] == POINTER
    assert problem in error["detail"]


def test_a_pin_tells_nothing_of_types_that_are_not_among_the_events(call: Call) -> None:
    register_schema("ticket.sold", {"$id": "urn:secret:1"}, by="command")

    problem = assert_problem(create(call, **{"ticket.sold": ONE}), 422)

    assert "not among the event types" in problem["detail"]
    assert "secret" not in problem["detail"]


def test_a_newer_version_stops_no_other_change_and_doctor_names_it(call: Call) -> None:
    create(call, **{TYPE: ONE})
    assert list(examine_schemas()) == []
    register(THREE)

    assert call("PATCH", "subscribers/erp/", {"title": "ERP"}).status_code == 200
    (finding,) = examine_schemas()
    assert finding.title == "subscriber erp"
    assert finding.detail == f"pins {ONE}, and no downgrade leads to it from {THREE}"
    assert_problem(call("PATCH", "subscribers/erp/", {"dataschemas": {TYPE: TWO}}), 422)
    retire_schema(EventSchema.objects.get(dataschema=THREE), by="command")
    registered_schemas.forget()
    assert list(examine_schemas()) == []


@pytest.mark.parametrize(
    ("downgrades", "ids"),
    [
        ({TWO: (ONE, "builtins.dict")}, []),
        ({TWO: (ONE, "builtins.nothing")}, ["router.E036"]),
        (
            {TWO: (ONE, "builtins.dict"), ONE: (TWO, "builtins.dict")},
            ["router.E036"] * 2,
        ),
        # Of the pin: its way is gone.
        ({}, ["router.E037"]),
    ],
)
def test_wrong_downgrades_and_pins_of_handlers_are_found(
    settings: Any, tmp_path: Any, downgrades: dict[str, Any], ids: list[str]
) -> None:
    files = [tmp_path / f"{n}.json" for n in (1, 2)]
    for file, version in zip(files, (ONE, TWO), strict=True):
        file.write_text(f'{{"$id": "{version}"}}')
    settings.ROUTER = {"SCHEMAS": {TYPE: files}, "DOWNGRADES": downgrades}
    with isolated():
        subscriber("old", events=[TYPE], dataschemas={TYPE: ONE})(lambda event: None)

        messages = check_settings()

    assert [message.id for message in messages] == ids
    assert all(message.hint for message in messages)
