"""Which members of an event's data are personal, by its schemas."""

from __future__ import annotations

from typing import Any

import pytest

from router.contract.personal import Customer, PersonalFields

SCHEMA: dict[str, Any] = {
    "properties": {
        "customer": {
            "allOf": [
                {"properties": {"id": {"x-personal": "id"}}},
                {
                    "properties": {
                        "email": {"format": "email", "x-personal": True},
                        "name": {"$ref": "#/$defs/name"},
                    }
                },
            ]
        },
        "guests": {"items": {"properties": {"name": {"$ref": "#/$defs/name"}}}},
        "note": {"x-personal": True},
        "self": {"$ref": "#"},
    },
    "$defs": {"name": {"type": "string", "x-personal": True}},
}
DATA = {
    "customer": {"id": "cus_1", "email": "Ada@example.com", "name": "Ada Horn"},
    "guests": [{"name": "Gus", "seat": 4}, {"name": ""}],
    "note": {"lines": ["for Ada", 7]},
    "total": 690,
}


def test_marked_members_are_overwritten_and_others_stay() -> None:
    assert PersonalFields.of([SCHEMA]).erase(DATA) == {
        "customer": {
            "id": "cus_1",
            "email": "erased@erased.invalid",
            "name": "[erased]",
        },
        # An empty text says nothing of anybody.
        "guests": [{"name": "[erased]", "seat": 4}, {"name": ""}],
        "note": {"lines": ["[erased]", None]},
        "total": 690,
    }


def test_the_customer_is_known_by_address_and_ids() -> None:
    personal = PersonalFields.of([SCHEMA])
    assert list(personal.addresses_of(DATA)) == ["Ada@example.com"]
    assert list(personal.ids_of(DATA)) == ["cus_1"]
    texts = set(personal.texts_of(DATA))
    assert texts == {"Ada@example.com", "Ada Horn", "Gus", "", "for Ada"}
    assert Customer(email="ada@EXAMPLE.com").is_address("Ada@example.com")


@pytest.mark.parametrize("data", [None, 7, "text", [], {"customer": 7}, {"guests": {}}])
def test_data_of_another_shape_stays(data: Any) -> None:
    assert PersonalFields.of([SCHEMA]).erase(data) == data


def test_versions_of_a_schema_add_up() -> None:
    older = {"properties": {"nick": {"x-personal": True}}}
    data = {"nick": "ada", **DATA}
    erased = PersonalFields.of([older, SCHEMA]).erase(data)
    assert erased["nick"] == erased["customer"]["name"] == "[erased]"
