"""`erase_customer` on the whole site: nothing of the customer is left in any table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from router import registry
from router.models import AuditEntry, FailedTask
from router.public import Event, Reject, subscriber
from router.testing import deliver_due, register_declared
from shop.models import Customer, Order
from subscribers.customer_profiles.models import CustomerProfile
from tests.integration.shopping import a_product, check_out, put_in_basket

pytestmark = pytest.mark.django_db(transaction=True)

ADA = {
    "name": "Adalmina Hornblower",
    "email": "adalmina@example.com",
    "line1": "Bandstand Lane 4",
    "line2": "Back door",
    "postal_code": "10997",
    "city": "Kleinmachnow",
}
GUS = {"name": "Gus Grumpy", "email": "gus@example.com", "line1": "Tuba Road 1"}


@pytest.fixture
def site(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """All subscribers of the site, and one that fails with a customer's name."""
    settings.DEBUG, settings.VAR_DIR = True, tmp_path
    settings.EMAIL_BACKEND = "subscribers.receipts.file_mail.EmailBackend"
    settings.EMAIL_FILE_PATH = tmp_path / "mail"

    @subscriber("nosy", events=["purchase.completed"])
    def refuse(event: Event) -> None:
        raise Reject(f"no letter for {event.data['customer']['email']}")

    register_declared()
    yield tmp_path
    del registry._declared["nosy"]


@pytest.fixture
def bought(site: Path) -> None:
    product = a_product()
    for details in (ADA, GUS):
        client = Client()
        put_in_basket(client, product)
        check_out(client, **details)
    deliver_due()


def dump() -> str:
    """Every value of every table."""
    parts = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608
            for row in cursor.fetchall():
                parts += [
                    bytes(value).decode(errors="replace")
                    if isinstance(value, bytes | memoryview)
                    else str(value)
                    for value in row
                ]
    return "\n".join(parts)


def files(folder: Path) -> str:
    found = (file for file in folder.rglob("*") if file.is_file())
    return "\n".join(file.read_text(errors="replace") for file in found)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("erase_customer", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def is_word_in(text: str, whole: str) -> bool:
    return bool(re.search(rf"(?<!\d){re.escape(text)}(?!\d)", whole, re.IGNORECASE))


def test_nothing_of_the_customer_is_left(bought: None, site: Path) -> None:
    before = dump() + files(site)
    assert [text for text in ADA.values() if text not in before] == []
    totals = list(Order.objects.values_list("public_id", "total_minor", "country"))

    printed = run(ADA["email"].upper(), "--no-input", "--reason", "a letter")

    after = dump() + files(site)
    # Alone: a longer number, as a time has, may contain that of her street.
    left = [each for each in ADA.values() if is_word_in(each, after)]
    assert left == []
    assert [text for text in GUS.values() if text not in after] == []
    assert (
        list(Order.objects.values_list("public_id", "total_minor", "country")) == totals
    )
    assert CustomerProfile.objects.filter(purchases_count=1).count() == 2
    for line in ("1 events", "1 orders", "1 profiles", "1 shipments", "1 mails"):
        assert f"{line} overwritten." in printed
    assert FailedTask.objects.count() == 2
    assert AuditEntry.objects.filter(action="customer.erased").count() == 1


def test_the_customer_may_buy_again_as_another(bought: None) -> None:
    known = Customer.objects.get(email=ADA["email"]).customer_id
    run(ADA["email"], "--no-input")
    client = Client()
    put_in_basket(client, a_product("CAR-302"))
    check_out(client, **ADA)
    deliver_due()
    assert Customer.objects.get(email=ADA["email"]).customer_id != known
    run(ADA["email"], "--no-input")
    assert ADA["email"] not in dump()


def test_a_dry_run_and_a_no_change_nothing(
    bought: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = dump()
    assert "1 events would be overwritten." in run(ADA["email"], "--dry-run")
    monkeypatch.setattr("builtins.input", lambda question: "")
    assert "Nothing was changed." in run(ADA["email"])
    assert dump() == before


def test_what_is_no_address_is_refused_without_its_words(site: Path) -> None:
    with pytest.raises(CommandError) as refused:
        run("Adalmina Hornblower")
    assert "Adalmina" not in str(refused.value)
    assert "no row has this address" in run("nobody@example.com")
