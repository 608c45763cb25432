from __future__ import annotations

import csv
import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client

from router.groups import OPERATORS, VIEWERS
from router.public import Event, Reject
from subscribers.order_history import links
from subscribers.order_history.checks import check_settings
from subscribers.order_history.handler import keep_history
from subscribers.order_history.links import history_link
from subscribers.order_history.models import DispatchRecord, PurchaseRecord
from subscribers.order_history.roles import SALES
from tests.integration.events import event, line, purchase, without
from tests.integration.staff import a_person

pytestmark = pytest.mark.django_db
PURCHASES = "/account/orders/"
NOVEMBER = {"from": "2026-11-01", "to": "2026-11-30"}


def dispatched(order_id: str = "ord_1", source: str = "/fulfilment") -> Event:
    data = {
        "shipment": {
            "id": "shp_1",
            "dispatched_at": "2026-11-21T08:00:00Z",
            "carrier": "DHL",
            "tracking_code": "JD0001",
        },
        "order": {"id": order_id},
        "customer": {"id": "cus_1"},
        "lines": [{"sku": "mute", "name": "The mute", "quantity": 2}],
    }
    return event("shipment.dispatched", data, id="shp_1", source=source)


def opened(client: Client, customer_id: str = "cus_1") -> str:
    return client.get(history_link("/shop", customer_id), follow=True).content.decode()


def test_a_purchase_is_recorded_once_with_its_lines() -> None:
    keep_history(purchase())
    keep_history(purchase())

    record = PurchaseRecord.objects.get()
    assert record.total_minor == 8340
    assert [each.total_minor for each in record.lines.all()] == [6900, 850]


def test_a_dispatch_is_recorded_once() -> None:
    keep_history(dispatched())
    keep_history(dispatched())

    assert DispatchRecord.objects.count() == 1


def test_a_purchase_without_total_is_rejected() -> None:
    with pytest.raises(Reject, match="/totals/total_minor"):
        keep_history(without(purchase(), "totals", "total_minor"))


def test_the_link_shows_the_purchases(client: Client) -> None:
    keep_history(purchase())
    page = opened(client)

    assert "€83.40" in page
    assert "The mute" in page
    assert "We are getting it ready" in page


@pytest.mark.parametrize("is_parcel_first", [True, False])
def test_a_shipped_purchase_says_when_whatever_came_first(
    client: Client, is_parcel_first: bool
) -> None:
    events = [purchase(), dispatched()]
    for delivered in reversed(events) if is_parcel_first else events:
        keep_history(delivered)
    page = opened(client)

    assert "Shipped on 21 November 2026" in page
    assert "JD0001" in page
    assert "We are getting it ready" not in page


def test_only_our_own_fulfilment_writes_to_a_customer(client: Client) -> None:
    keep_history(purchase())
    keep_history(dispatched(source="/partner"))
    page = opened(client)

    assert DispatchRecord.objects.count() == 1
    assert "JD0001" not in page
    assert "We are getting it ready" in page


@pytest.mark.parametrize(
    ("sources", "message"),
    [("/fulfilment", ["order_history.E001"]), ([1], ["order_history.E001"]),
     ([], []), (["/fulfilment", "/warehouse"], [])],
)  # fmt: skip
def test_parcel_sources_that_are_no_list_are_found(
    settings: Any, sources: object, message: list[str]
) -> None:
    settings.ORDER_HISTORY = {"PARCEL_SOURCES": sources}

    assert [problem.id for problem in check_settings()] == message


def test_nobody_sees_the_purchases_of_another(client: Client) -> None:
    keep_history(purchase("ord_hers", customer_id="cus_1"))
    keep_history(purchase("ord_his", customer_id="cus_2"))
    page = opened(client, "cus_2")

    assert "ord_his" in page
    assert "ord_hers" not in page


def test_without_a_link_the_page_says_how_to_get_one(client: Client) -> None:
    answer = client.get(PURCHASES)

    assert answer.status_code == 200
    assert "You need no account" in answer.content.decode()


def test_the_token_tells_nothing_of_the_customer() -> None:
    link = history_link("/shop", "cus_secret")

    assert "cus_secret" not in link
    assert link != history_link("/shop", "cus_secret")


def test_opening_a_link_gives_the_session_a_new_key(client: Client) -> None:
    client.session.save()
    opened(client, "cus_1")
    before = client.session.session_key
    opened(client, "cus_2")

    assert client.session.session_key != before


def test_an_expired_link_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = history_link("/shop", "cus_1")
    monkeypatch.setattr(links, "LIFETIME", timedelta(seconds=-1))
    answer = client.get(link)

    assert answer.status_code == 410
    assert "This link has expired" in answer.content.decode()
    assert "order_history.customer" not in client.session


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "gAAAAA" + "A" * 94,
        "é" * 40,
        "A" * 3000,
        Fernet(Fernet.generate_key()).encrypt(b"cus_1").decode(),
    ],
    ids=["short", "invented", "not ASCII", "endless", "of another key"],
)
def test_a_forged_link_opens_nothing(client: Client, token: str) -> None:
    keep_history(purchase())
    answer = client.get(f"{PURCHASES}{token}/")

    assert answer.status_code == 404
    assert "This link does not work" in answer.content.decode()
    assert "The mute" not in opened_page(client)


def opened_page(client: Client) -> str:
    return client.get(PURCHASES).content.decode()


def test_a_link_outlives_a_change_of_the_secret_key(
    client: Client, settings: Any
) -> None:
    link = history_link("/shop", "cus_1")
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another"

    assert client.get(link).status_code == 302


def test_where_no_shop_is_the_page_has_a_frame_of_its_own() -> None:
    page = render_to_string(
        "order_history/no_link.html", {"site_base": "order_history/plain.html"}
    )

    assert "order_history/plain.css" in page
    assert "You need no account" in page


def test_leaving_hides_the_purchases(client: Client) -> None:
    keep_history(purchase())
    opened(client)
    client.post(f"{PURCHASES}leave/")

    assert "The mute" not in opened_page(client)


def test_many_purchases_come_on_pages_in_few_queries(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(25):
        keep_history(purchase(f"ord_{number:02}"))
    opened(client)

    with django_assert_max_num_queries(8):
        first = client.get(PURCHASES).content.decode()
    assert first.count("<article") == 20
    second = client.get(PURCHASES, {"page": "2"}).content.decode()
    assert second.count("<article") == 5


# ── Sales ────────────────────────────────────────────────────────────────────


def rows(client: Client, name: str, **query: str) -> list[dict[str, str]]:
    answer = client.get(f"/sales/{name}.csv", query or NOVEMBER)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    return list(csv.DictReader(StringIO(answer.content.decode())))


@pytest.fixture
def sold() -> None:
    keep_history(purchase("ord_1"))
    keep_history(purchase("ord_2", placed_at="2026-11-20T23:59:59Z"))
    keep_history(purchase("ord_3", placed_at="2026-11-22T00:00:00Z", currency="USD"))
    keep_history(purchase("ord_4", placed_at="2026-10-31T23:59:59Z"))


@pytest.mark.parametrize("page", ["", "by-day.csv", "by-product.csv"])
def test_sales_are_for_staff(client: Client, page: str) -> None:
    answer = client.get(f"/sales/{page}")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")

    client.force_login(User.objects.create_user("customer"))
    assert client.get(f"/sales/{page}").status_code == 302


@pytest.mark.parametrize(
    ("group", "status"), [("", 403), (VIEWERS, 403), (OPERATORS, 403), (SALES, 200)]
)
@pytest.mark.parametrize("page", ["", "by-day.csv", "by-product.csv"])
def test_sales_need_a_permission_that_only_the_group_of_sales_has(
    page: str, group: str, status: int
) -> None:
    assert a_person("sam", group).get(f"/sales/{page}").status_code == status


@pytest.mark.usefixtures("sold")
def test_sales_by_day_are_counted_by_currency(admin_client: Client) -> None:
    assert rows(admin_client, "by-day") == [
        {
            "day": "2026-11-20",
            "currency": "EUR",
            "orders": "2",
            "items": "6",
            "shipping": "11.80",
            "total": "166.80",
        },
        {
            "day": "2026-11-22",
            "currency": "USD",
            "orders": "1",
            "items": "3",
            "shipping": "5.90",
            "total": "83.40",
        },
    ]


@pytest.mark.usefixtures("sold")
def test_sales_by_product_start_with_what_brought_most(admin_client: Client) -> None:
    cells = rows(admin_client, "by-product")

    assert [(each["sku"], each["currency"], each["total"]) for each in cells] == [
        ("mute", "EUR", "138.00"),
        ("oil", "EUR", "17.00"),
        ("mute", "USD", "69.00"),
        ("oil", "USD", "8.50"),
    ]


@pytest.mark.parametrize(
    "name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"]
)
def test_a_product_can_not_smuggle_a_formula_into_the_sheet(
    admin_client: Client, name: str
) -> None:
    keep_history(purchase(lines=[line("=cmd()", 1, 100, name)]))
    (row,) = rows(admin_client, "by-product")

    assert row["name"].startswith("'")
    assert row["sku"] == "'=cmd()"


def test_a_formula_behind_a_semicolon_is_no_cell_of_its_own(
    admin_client: Client,
) -> None:
    keep_history(purchase(lines=[line("x", 1, 100, "Mute;=cmd();\t-1 B-flat; C-1")]))
    (row,) = rows(admin_client, "by-product")

    assert row["name"] == "Mute;'=cmd();'\t-1 B-flat; C-1"


@pytest.mark.usefixtures("sold")
def test_the_sales_page_has_a_chart_that_can_be_read_out(admin_client: Client) -> None:
    page = admin_client.get("/sales/", NOVEMBER).content.decode()

    assert "€166.80" in page
    assert "The best day was 20 November 2026 with €166.80" in page
    assert page.count('<rect class="history-bar"') == 60
    assert 'role="img"' in page
    assert not re.search(r"<[^>]+\sstyle=", page)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"from": "2026-11-30", "to": "2026-11-01"}, "lies after the last"),
        ({"from": "2020-01-01", "to": "2026-11-01"}, "more than a year"),
        ({"from": "soon"}, "Enter a valid date"),
        ({"from": "0001-01-01", "to": "0001-01-02"}, "Nothing was sold"),
        ({"to": "0001-01-02"}, "Nothing was sold"),
        ({"from": "9999-12-31", "to": "9999-12-31"}, "after the last"),
    ],
)
def test_odd_periods_are_answered_in_words(
    admin_client: Client, query: dict[str, str], message: str
) -> None:
    answer = admin_client.get("/sales/", query)

    assert answer.status_code == 200
    assert message in answer.content.decode()


def test_nothing_sold_says_what_will_appear(admin_client: Client) -> None:
    assert "Nothing was sold" in admin_client.get("/sales/").content.decode()


def test_amounts_of_a_currency_without_cents_are_whole(admin_client: Client) -> None:
    keep_history(
        purchase(currency="JPY", lines=[line("oil", 2, 700)], shipping_minor=0)
    )

    assert rows(admin_client, "by-product")[0]["total"] == "1400"
    assert "¥1,400" in admin_client.get("/sales/", NOVEMBER).content.decode()


def test_an_unknown_currency_is_shown_all_the_same(admin_client: Client) -> None:
    keep_history(purchase(currency="QQQ"))

    assert "83.40 QQQ" in admin_client.get("/sales/", NOVEMBER).content.decode()
