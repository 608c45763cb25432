"""The filters of the CloudEvents Subscriptions API."""

from __future__ import annotations

from typing import Any

import pytest

from router.contract.cesql.grammar import MAX_LENGTH
from router.contract.dialects import MAX_DEPTH, compiled, filter_problems

EVENT: dict[str, str | int | bool] = {
    "id": "purchase-7",
    "source": "/shop",
    "type": "purchase.completed",
    "subject": "vip-7",
    "count": 7,
    "gift": True,
}
DATA = {
    "customer": {"country": "AT", "name": None, "is.vip": "no"},
    "lines": [{"sku": "tea", "quantity": 2, "price": 12.5}, {"sku": "cup"}],
    "is_gift": False,
    "7": "seven",
    "": "empty",
}


@pytest.mark.parametrize(
    ("expression", "passes"),
    [
        ({"exact": {"subject": "vip-7"}}, True),
        ({"exact": {"subject": "vip-7", "source": "/stop"}}, False),
        ({"exact": {"subject": "VIP-7"}}, False),
        ({"prefix": {"type": "purchase."}}, True),
        ({"suffix": {"type": ".completed", "id": "7"}}, True),
        ({"exact": {"count": "7", "gift": "true"}}, True),
        ({"exact": {"missing": "7"}}, False),
        ({"not": {"exact": {"missing": "7"}}}, True),
        ({"all": [{"exact": {"id": "x"}}, {"sql": "TRUE"}]}, False),
        ({"any": [{"exact": {"id": "x"}}, {"sql": "TRUE"}]}, True),
        # Values in the data.
        ({"exact": {"data.customer.country": "AT"}}, True),
        ({"prefix": {"data.customer.country": "B"}}, False),
        ({"exact": {"data.lines.0.sku": "tea", "data.lines.1.sku": "cup"}}, True),
        ({"exact": {"data.lines.2.sku": "tea"}}, False),
        ({"exact": {"data.lines.-1.sku": "cup"}}, False),
        ({"exact": {"data.lines.01.sku": "cup"}}, False),
        ({"exact": {"data.lines.0.quantity": "2"}}, True),
        ({"exact": {"data.lines.0.price": "12.5"}}, True),
        ({"exact": {"data.is_gift": "false"}}, True),
        ({"exact": {"data.7": "seven"}}, True),
        # Neither null nor what is no single value.
        ({"exact": {"data.customer.name": "null"}}, False),
        ({"prefix": {"data.customer": "{"}}, False),
        ({"exact": {"data.customer.country.0": "A"}}, False),
        # SQL that errs is false, and what is false is negated.
        ({"sql": "subject LIKE 'vip-%' AND count < 8"}, True),
        ({"sql": "missing = 'x'"}, False),
        ({"not": {"sql": "missing = 'x'"}}, True),
        ({"sql": "count"}, False),
    ],
)
def test_a_filter_decides(expression: dict[str, Any], passes: bool) -> None:
    assert filter_problems(expression) == []
    assert compiled(expression).passes(EVENT, DATA) is passes


@pytest.mark.parametrize("data", [None, "text", 7, True, [], {}, [{"a": 1}]])
def test_other_data_passes_no_comparison(data: Any) -> None:
    assert not compiled({"prefix": {"data.customer.country": "A"}}).passes(EVENT, data)


def test_a_filter_says_whether_it_reads_data() -> None:
    over_data = {"exact": {"data.a": "1"}}

    assert compiled({"any": [{"sql": "TRUE"}, {"not": over_data}]}).reads_data
    assert not compiled({"all": [{"sql": "TRUE"}, {"exact": {"id": "1"}}]}).reads_data


def test_a_filter_is_compiled_once() -> None:
    assert compiled({"sql": "id = '1'"}) is compiled({"sql": "id = '1'"})


def nested(depth: int) -> dict[str, Any]:
    return {"not": nested(depth - 1)} if depth else {"exact": {"id": "1"}}


@pytest.mark.parametrize(
    ("expression", "pointers"),
    [
        (None, [""]),
        ({}, [""]),
        ({"exact": {"id": "1"}, "sql": "TRUE"}, [""]),
        ({"javascript": "true"}, [""]),
        ({"exact": {"id": ""}}, ["/exact/id"]),
        ({"exact": {"data": "1"}}, ["/exact"]),
        ({"exact": {"data.": "1"}}, ["/exact"]),
        ({"exact": {"data..a": "1"}}, ["/exact"]),
        ({"exact": {"order.id": "1"}}, ["/exact"]),
        ({"exact": {"data.a\n": "1"}}, ["/exact"]),
        ({"exact": {"data.a/b~c": 1}}, ["/exact/data.a~1b~0c"]),
        ({"exact": {"data." + "a" * 255: "1"}}, ["/exact"]),
        ({"any": [{"sql": "TRUE"}, {"not": {"sql": "id ="}}]}, ["/any/1/not/sql"]),
        ({"sql": None}, ["/sql"]),
        (nested(MAX_DEPTH + 1), ["/not" * (MAX_DEPTH + 1)]),
        ({"any": [{"exact": {"id": "1"}}] * 201}, [""]),
        ({"any": [{"sql": f"{'TRUE':<{MAX_LENGTH // 2}}"}] * 3}, [""]),
    ],
)
def test_what_is_no_filter_is_reported_by_its_pointer(
    expression: object, pointers: list[str]
) -> None:
    assert [pointer for pointer, _ in filter_problems(expression)] == pointers
