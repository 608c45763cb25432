"""Data of every type: read, kept in one JSON column, and given out again."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.contract import json_text
from router.contract.data import is_json, members, pack, read, type_problem, unpack
from router.contract.errors import InvalidEvent
from tests.json_values import json_values

JSON = json_values()


@given(data=JSON | st.binary())
def test_what_is_packed_is_unpacked(data: Any) -> None:
    packed = pack(data, has_data=True)
    assert unpack(json.loads(packed.text), packed.encoding) == (data, True)


def test_no_data_is_not_null() -> None:
    nothing, null = pack(None, has_data=False), pack(None, has_data=True)
    assert unpack(json.loads(nothing.text), nothing.encoding) == (None, False)
    assert unpack(json.loads(null.text), null.encoding) == (None, True)
    assert members(None, has_data=False) == {}
    assert members(None, has_data=True) == {"data": None}


@given(value=JSON)
def test_json_text_is_read_as_it_was_written(value: Any) -> None:
    assert json_text.parse(json.dumps(value)) == value
    assert json.loads(json_text.dumped(value)) == value


@given(
    number=st.decimals(allow_nan=False, allow_infinity=False, places=None),
    exponent=st.integers(-400, 400),
)
def test_a_number_is_read_exactly_or_refused(number: Decimal, exponent: int) -> None:
    digits = f"{number:f}e{exponent}"
    try:
        value = json_text.parse(digits)
    except InvalidEvent:
        return
    assert Decimal(repr(value)) == Decimal(digits)


@pytest.mark.parametrize(
    "digits",
    [
        "0.1234567890123456789",
        "123456789012345678.5",
        "9007199254740993.0",  # 2**53 + 1.
        "1e400",
        "-1e400",
        "1e-400",
        "1e999999999999999999999999",
        "1e-999999999999999999999999",
    ],
)
def test_a_number_that_would_be_rounded_is_pointed_at(digits: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        json_text.parse(f'{{"data": {{"a~/": [1.5, {digits}]}}}}')
    assert [pointer for pointer, _ in caught.value.problems] == ["/data/a~0~1/1"]
    assert "send it as a string" in str(caught.value)


@pytest.mark.parametrize(
    ("digits", "value"),
    [
        ("0.1", 0.1),
        ("1.10", 1.1),
        ("1E+2", 100.0),
        ("1e308", 1e308),
        ("5e-324", 5e-324),
        ("0.30000000000000004", 0.1 + 0.2),
        ("-0.0", -0.0),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_a_number_that_is_exact_is_kept(digits: str, value: float) -> None:
    assert json_text.parse(digits) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("1.5"), {1}])
def test_what_json_can_not_say_is_refused(value: object) -> None:
    with pytest.raises(InvalidEvent):
        json_text.canonical({"a": value})


def test_half_a_surrogate_pair_is_marked() -> None:
    assert json_text.dumped(["ü", "\ud800"]) == '["ü","\ufffd"]'


@pytest.mark.parametrize(
    ("datacontenttype", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/ld+json", True),
        ("application/problem+json;v=1", True),
        ("text/json", True),
        ("application/jsonl", False),
        ("application/xml", False),
        ("text/plain; format=json", False),
        ("image/png; x=a/b+json", False),
    ],
)
def test_json_is_known_by_its_media_type(datacontenttype: str, expected: bool) -> None:
    assert is_json(datacontenttype) is expected


@pytest.mark.parametrize(
    ("body", "datacontenttype", "data"),
    [
        ("weiß".encode(), "text/plain", "weiß"),
        ("weiß".encode(), 'text/plain; charset="UTF-8"', "weiß"),
        ("weiß".encode("latin-1"), "text/plain; charset=iso-8859-1", "weiß"),
        # It is not what the charset says, or no charset that is read here.
        ("weiß".encode("latin-1"), "text/plain", "weiß".encode("latin-1")),
        (b"a", "text/plain; charset=idna", b"a"),
        (b"a", "text/plain; charset=hex", b"a"),
        # No database keeps it as text.
        (b"a\x00b", "text/plain", b"a\x00b"),
        (b"<a/>", "application/xml", "<a/>"),
        (b"<a/>", "application/atom+xml", "<a/>"),
        (b"\xef\xbb\xbfa", "text/csv", "\ufeffa"),
        (b"\x00\xff", "image/png", b"\x00\xff"),
        (b"7", "application/octet-stream", b"7"),
        (b"7", "application/octet-stream; x=a/xml", b"7"),
        (b"7", "application/xml-dtd", b"7"),
        (b'{"a": 1}', "application/json", {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', "application/vnd.x+json", {"a": 1}),
        ('"ß"'.encode("latin-1"), "application/json; charset=iso-8859-1", "ß"),
    ],
)
def test_bytes_are_read_by_their_type(
    body: bytes, datacontenttype: str, data: object
) -> None:
    assert read(body, datacontenttype) == data


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b"NaN", b"[" * 100_000])
def test_bytes_that_are_not_the_json_they_claim_to_be_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidEvent) as caught:
        read(body, "application/json")
    assert [pointer for pointer, _ in caught.value.problems] == ["/data"]


@pytest.mark.parametrize(
    "datacontenttype", ["", "json", "text/", "/plain", "a b/c", "text/plain\n", 7, None]
)
def test_what_is_no_media_type_has_a_problem(datacontenttype: object) -> None:
    assert type_problem(datacontenttype)


def test_bytes_are_given_out_in_base64() -> None:
    problems = members(b"\x00\xff", has_data=True)
    assert base64.b64decode(problems["data_base64"]) == b"\x00\xff"
