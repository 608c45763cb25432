"""The tables serve the release before this one, whose processes still run."""

from __future__ import annotations

import pytest
from django.db import connection

from router.models import Subscriber

#: Columns that no model has any more, and that the release before reads and writes.
KEPT = [
    ("router_delivery", "probed_at"),
    ("router_subscriber", "unreachable_in_a_row"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("table", "column"), KEPT)
def test_a_column_that_the_release_before_names_is_still_there(
    table: str, column: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT count("{column}") FROM "{table}"')  # noqa: S608


@pytest.mark.django_db
def test_a_subscriber_is_made_without_the_columns_that_no_model_has() -> None:
    Subscriber.objects.create(name="crm")

    with connection.cursor() as cursor:
        cursor.execute("SELECT unreachable_in_a_row FROM router_subscriber")
        assert cursor.fetchone()[0] in ("[]", [])
