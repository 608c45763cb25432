"""Form, event schema and the six readers agree on what a purchase may hold."""

from __future__ import annotations

import json
from email import message_from_bytes, policy
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from router import registry
from router.flow.publish.json_schema import compile_schema
from router.models import EventRecord
from router.public import Event
from shop.checkout import buy
from shop.countries import CODES
from shop.forms import CheckoutForm, QuantityForm
from shop.intents import CheckoutRequest
from shop.mail_addresses import ADDRESS
from shop.models import IntentState
from shop.pricing import priced
from shop.validation import HIGHEST_PRICE_MINOR, MAX_QUANTITY
from tests.integration.events import event
from tests.integration.shopping import DETAILS, PAYS, a_product
from tests.unit.test_schemas import PURCHASE

EACH = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SCHEMA = PURCHASE["$defs"]
SIX = {
    "receipts",
    "inventory",
    "fulfilment",
    "order_history",
    "customer_profiles",
    "slack_alerts",
}


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Any) -> None:
    """Alerts without Slack are files."""
    settings.VAR_DIR = tmp_path


def six_take(purchase: Event) -> None:
    """Run every handler that hears of purchases; the receipt reaches its customer."""
    mail.outbox.clear()
    hearing = {
        each.name: each.handler
        for each in registry.declared()
        if "purchase.completed" in each.events
    }
    assert set(hearing) == SIX
    for handler in hearing.values():
        handler(purchase)
    (receipt,) = mail.outbox
    message = message_from_bytes(receipt.message().as_bytes(), policy=policy.default)
    (recipient,) = message["To"].addresses
    assert recipient.addr_spec == purchase.data["customer"]["email"]
    assert not message["To"].defects


# ── What the form takes ──────────────────────────────────────────────────────

ODD = "\x00\x1f\x7f\x85\u2028\u2029\u202e\u2066\ud800\u200b\u3164\u00a0\ufeff\uffff"
PLAIN = st.characters(exclude_categories=["C", "Z"]) | st.sampled_from("aé東🎺 -'<\"")
TYPED = st.text(PLAIN, max_size=110) | st.text(st.sampled_from(f"a{ODD}"), max_size=4)
LABELS = st.sampled_from(
    ["bücher", "example", "straße", "例え", "ab--cd", "xn--bcher-kva", "xn--zz", "a_b"]
    + ["-x", "x-", "", "b＠c", "a" * 63, "ü" * 60, "127", "ÜBER", "faß。de", "ا", "💩"]
)
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(".".join) | st.sampled_from(
    ["[127.0.0.1]", "[IPv6:::1]", "localhost", "127.0.0.1", "example.com.", "example"]
)
LOCALS = st.text(st.sampled_from("aZ9.+-_'%!{|ü\" \\@"), max_size=70)
MAILS = st.tuples(LOCALS, DOMAINS).map("@".join) | TYPED
FORMS = st.fixed_dictionaries(
    {
        "name": TYPED,
        "email": MAILS | st.just("ada@example.com"),
        "line1": TYPED,
        "line2": TYPED,
        "postal_code": st.text(PLAIN, max_size=18),
        "city": TYPED,
        "country": st.sampled_from(CODES) | TYPED,
    }
)
ONE_FIELD = st.sampled_from(sorted(DETAILS)).flatmap(
    lambda name: FORMS.map(lambda form: {**DETAILS, name: form[name]})
)


@pytest.mark.django_db
@EACH
@example(form={**DETAILS, "email": "ada@bücher.example"}, quantity="2")
@example(form={**DETAILS, "email": "ada@b＠c.example"}, quantity="1")
@example(form={**DETAILS, "email": f"{'x' * 65}@example.com"}, quantity="1")
@example(form={**DETAILS, "email": '"a b"@example.com'}, quantity="1")
@example(form={**DETAILS, "email": "a@[127.0.0.1]"}, quantity="1")
@given(
    form=ONE_FIELD | FORMS,
    quantity=st.integers(0, MAX_QUANTITY + 1).map(str) | st.sampled_from(["٣", "1e2"]),
)
def test_what_the_form_takes_is_recorded_and_all_six_take_it(
    form: dict[str, str], quantity: str
) -> None:
    checked = CheckoutForm(
        {**form, "card_number": PAYS, "card_expiry": "12/49", "card_cvc": "123"}
    )
    amount = QuantityForm({"quantity": quantity})
    if not (checked.is_valid() and amount.is_valid()):
        return
    dearest = a_product(f"DEAR-{uuid4().hex[:9].upper()}", slug=uuid4().hex)
    dearest.price_minor = HIGHEST_PRICE_MINOR
    dearest.save()

    wish = CheckoutRequest(
        key=uuid4(),
        owner=uuid4().hex,
        basket_id=uuid4(),
        details=checked.details(),
        priced=priced({dearest.sku: amount.cleaned_data["quantity"]}),
        card_last4=checked.card().last4,
    )
    intent = buy(wish, checked.card())

    assert intent.state == IntentState.ORDERED
    assert intent.order
    recorded = EventRecord.objects.get(subject=intent.order.public_id)
    six_take(recorded.to_event())


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("Ada@BÜCHER.Example", "Ada@xn--bcher-kva.example"),
        # The older IDNA sends this to strasse.example, another owner's domain.
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ("ada@ab--cd.example", "ada@ab--cd.example"),
        ("o'neill+horn@mail.example.com", "o'neill+horn@mail.example.com"),
    ],
)
def test_a_mail_address_is_kept_as_mail_servers_write_it(typed: str, kept: str) -> None:
    form = CheckoutForm({"email": typed})

    form.is_valid()

    assert form.cleaned_data["email"] == kept


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("a@[127.0.0.1]", "numeric address"),
        ("a@[IPv6:::1]", "numeric address"),
        ("zoë@example.com", "before the @"),
        ("a@127.0.0.1", "name@example.com"),
        ("root@localhost", "name@example.com"),
        ('"a b"@example.com', "name@example.com"),
        (f"{'x' * 65}@example.com", "name@example.com"),
        ("a@b＠c.example", "name@example.com"),
        ("a@xn--zz--.example", "name@example.com"),
        ("a@" + "ü" * 63 + ".example", "name@example.com"),
    ],
)
def test_an_address_that_no_receipt_reaches_is_refused_with_the_reason(
    typed: str, hint: str
) -> None:
    form = CheckoutForm({"email": typed})

    assert hint in str(form.errors["email"])


# ── What the schema takes, from whichever publisher ──────────────────────────

PURCHASE_SCHEMA = compile_schema(PURCHASE)
EMAIL = PURCHASE["properties"]["customer"]["properties"]["email"]["pattern"]
PLACED_AT = PURCHASE["properties"]["order"]["properties"]["placed_at"]["pattern"]


def matching(pattern: str) -> st.SearchStrategy[str]:
    return st.from_regex(pattern.removesuffix("$"), fullmatch=True)


def text(least: int, most: int) -> st.SearchStrategy[str]:
    letters = st.characters(exclude_categories=["Cc", "Cs"]) | st.sampled_from(
        "\u2028\u202e\u200b "
    )
    return st.text(letters, min_size=least, max_size=most)


MOMENTS = st.sampled_from(
    [
        "2016-12-31T23:59:60Z",
        "2017-01-01T01:59:60.5+02:00",
        "1000-01-01T00:00:00+23:59",
        "2999-12-31T23:59:59.999999999-23:59",
    ]
) | matching(PLACED_AT)
WHOLE = st.integers(1, 1_000_000)
AMOUNTS = st.sampled_from([0, 1, 2**53 - 1, 250.0]) | st.integers(0, 2**53 - 1)
LINES = st.fixed_dictionaries(
    {
        "sku": st.sampled_from(["A", "A-1"]) | matching(SCHEMA["sku"]["pattern"]),
        "name": text(1, 120),
        "quantity": WHOLE | WHOLE.map(float),
        "unit_price_minor": AMOUNTS,
        "total_minor": AMOUNTS,
    }
)
PURCHASES = st.fixed_dictionaries(
    {
        "order": st.fixed_dictionaries(
            {
                "id": matching(SCHEMA["id"]["pattern"]),
                "placed_at": MOMENTS,
                "currency": st.sampled_from(["EUR", "JPY", "XXX", "XAU", "AAA"])
                | matching("^[A-Z]{3}$"),
            }
        ),
        "customer": st.fixed_dictionaries(
            {
                "id": matching(SCHEMA["id"]["pattern"]),
                "name": text(1, 100),
                "email": matching(EMAIL),
            }
        ),
        "shipping_address": st.fixed_dictionaries(
            {
                "name": text(1, 100),
                "line1": text(1, 100),
                "line2": text(0, 100),
                "postal_code": text(0, 16),
                "city": text(1, 80),
                "country": matching("^[A-Z]{2}$"),
            }
        ),
        "lines": st.lists(LINES, min_size=1, max_size=3),
        "totals": st.fixed_dictionaries(
            {
                "subtotal_minor": AMOUNTS,
                "shipping_minor": AMOUNTS,
                "total_minor": AMOUNTS,
            }
        ),
        "payment": st.just({"method": "card", "last4": "4242"}),
    }
)
EXAMPLE = json.dumps(PURCHASE["examples"][0])


def placed_at(moment: str) -> Any:
    data = json.loads(EXAMPLE)
    return {**data, "order": {**data["order"], "placed_at": moment}}


@pytest.mark.django_db
@EACH
@example(data=placed_at("2016-12-31T23:59:60Z"))
@given(data=PURCHASES)
def test_what_the_schema_takes_all_six_take(data: Any) -> None:
    assume(not PURCHASE_SCHEMA.problems(data))

    six_take(event("purchase.completed", data, id=uuid4().hex))


def test_the_form_and_the_schema_share_one_rule_of_addresses() -> None:
    assert EMAIL == ADDRESS


@pytest.mark.parametrize(
    "email", ["a@[127.0.0.1]", "a@localhost", '"a b"@example.com', "a@1.2.3.4"]
)
def test_the_schema_refuses_an_address_that_no_receipt_reaches(email: str) -> None:
    data = json.loads(EXAMPLE)
    data["customer"]["email"] = email

    assert PURCHASE_SCHEMA.problems(data)


@pytest.mark.parametrize(
    "moment",
    ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"],
)
def test_the_schema_refuses_a_year_that_no_reader_can_keep(moment: str) -> None:
    assert PURCHASE_SCHEMA.problems(placed_at(moment))
