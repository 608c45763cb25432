from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

SCHEMAS = Path(__file__).parents[2] / "shop" / "schemas"
PURCHASE = json.loads((SCHEMAS / "purchase.completed.v1.json").read_text())
STOCK = json.loads((SCHEMAS / "stock.received.v1.json").read_text())


@pytest.mark.parametrize("schema", [PURCHASE, STOCK], ids=lambda schema: schema["$id"])
def test_the_example_of_a_schema_keeps_it(schema: dict[str, Any]) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema)

    for example in schema["examples"]:
        validator.validate(example)


def test_version_1_may_grow() -> None:
    grown = copy.deepcopy(PURCHASE["examples"][0])
    grown["gift"] = {"message": "Play it loud"}
    grown["lines"][0]["colour"] = "brass"

    jsonschema_rs.Draft202012Validator(PURCHASE).validate(grown)


@pytest.mark.parametrize(
    ("pointer", "wrong"),
    [
        ("order.id", ""),
        ("order.placed_at", "yesterday"),
        # A time without its zone is no moment.
        ("order.placed_at", "2026-11-23T18:30:00"),
        ("order.currency", "eur"),
        ("customer.name", ""),
        ("customer.name", "x" * 101),
        ("customer.name", "Ada\nHorn"),
        ("customer.email", "nobody"),
        ("shipping_address.country", "Germany"),
        ("shipping_address.line1", "\x7f"),
        ("totals.total_minor", 19.7),
        ("totals.total_minor", "1970"),
        ("totals.total_minor", -1),
        ("payment.last4", "4242424242424242"),
        ("payment.method", "cash"),
        ("lines", []),
    ],
)
def test_a_purchase_that_is_not_as_described_is_refused(
    pointer: str, wrong: object
) -> None:
    purchase = copy.deepcopy(PURCHASE["examples"][0])
    *way, last = pointer.split(".")
    part = purchase
    for name in way:
        part = part[name]
    part[last] = wrong

    assert not jsonschema_rs.Draft202012Validator(PURCHASE).is_valid(purchase)
