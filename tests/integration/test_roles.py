from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission

from router.groups import MANAGERS, OPERATORS, VIEWERS, ensure_roles

pytestmark = pytest.mark.django_db


def rights(group: str) -> set[str]:
    permissions = Permission.objects.filter(group__name=group)
    return set(permissions.values_list("codename", flat=True))


def test_viewers_look_at_everything_of_the_router() -> None:
    every_view = Permission.objects.filter(
        content_type__app_label="router", codename__startswith="view_"
    )

    assert rights(VIEWERS) == set(every_view.values_list("codename", flat=True))
    assert "view_failedtask" in rights(VIEWERS)


def test_operators_mend_beside() -> None:
    more = rights(OPERATORS) - rights(VIEWERS)

    assert more == {"remediate_failedtask", "change_subscriber", "add_auditentry"}


def test_managers_set_up_beside() -> None:
    assert rights(OPERATORS) < rights(MANAGERS)
    assert rights(MANAGERS) - rights(OPERATORS) == {
        "add_subscriber",
        "add_apikey",
        "change_apikey",
        "add_eventschema",
        "change_eventschema",
    }


def test_what_an_administrator_gave_stays() -> None:
    extra = Permission.objects.get(codename="add_apikey")
    Group.objects.get(name=OPERATORS).permissions.add(extra)

    ensure_roles()

    assert "add_apikey" in rights(OPERATORS)


def test_a_group_that_was_deleted_comes_back() -> None:
    Group.objects.all().delete()

    ensure_roles()

    assert "remediate_failedtask" in rights(OPERATORS)
    assert "add_apikey" in rights(MANAGERS)
