"""No schema that may be registered makes a check of 1 MiB take longer than a second."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from router.contract.errors import BatchRefused, InvalidSchema, SchemaViolation
from router.flow.publish import registered_schemas, schemas
from router.flow.publish.json_schema import MAX_DETAIL, compile_schema
from router.flow.publish.publishing import publish_batch
from router.flow.publish.schema_cost import MAX_SUBSCHEMAS
from router.management.doctor.schemas import examine_schemas
from router.models import EventSchema
from router.operate.schemas import register_schema
from router.public import publish

pytestmark = pytest.mark.django_db
TYPE = "parcel.lost"
INT = {"type": "integer"}


def doubling(levels: int) -> dict[str, Any]:
    """Each level refers twice to the one below: 2 KB that ask 2^levels times."""
    below = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level - 1}"}] * 2}
        for level in range(1, levels)
    }
    return {"$defs": {"d0": INT, **below}, "$ref": f"#/$defs/d{levels - 1}"}


def dependent(levels: int) -> dict[str, Any]:
    """The same through a keyword that only older drafts define."""
    below = {
        f"d{level}": {
            "dependencies": dict.fromkeys("ab", {"$ref": f"#/$defs/d{level - 1}"})
        }
        for level in range(1, levels)
    }
    return {"$defs": {"d0": INT, **below}, "$ref": f"#/$defs/d{levels - 1}"}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"properties": {"a": {}}}
    for _ in range(levels):
        schema = {"anyOf": [schema], "unevaluatedProperties": False}
    return schema


def chain(links: int) -> dict[str, Any]:
    steps = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(links)}
    return {"$defs": {**steps, f"d{links}": INT}, "$ref": "#/$defs/d0"}


TWICE = [{"$ref": "#"}, {"$ref": "#"}]
REFUSED = {
    "doubling by references": (doubling(16), ""),
    "doubling by dependencies": (dependent(16), ""),
    "many that refer to the whole": (
        {"properties": {f"p{n}": {"$ref": "#"} for n in range(1_900)}},
        "",
    ),
    "a reference to no schema": ({"x": {"enum": 5}, "$ref": "#/x"}, ""),
    "what doubles as it is compiled": (
        {
            "$defs": {
                "d0": INT,
                **{
                    f"d{n}": {
                        "anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2,
                        "unevaluatedProperties": False,
                    }
                    for n in range(1, 60)
                },
            },
            "$ref": "#/$defs/d59",
        },
        "",
    ),
    "an embedded resource of another draft": (
        {"$defs": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}},
        "/$defs/a/$schema",
    ),
    "what only a reference leads to": (
        {"x": {"multipleOf": 1e-300}, "items": {"$ref": "#/x"}},
        "/x/multipleOf",
    ),
    "doubling at each level of the data": ({"items": {"allOf": TWICE}}, ""),
    "doubling through two keywords": (
        {
            "properties": {"a": {"$ref": "#"}},
            "anyOf": [{"properties": {"a": TWICE[0]}}],
        },
        "",
    ),
    "doubling in an embedded resource": (
        {
            "$defs": {
                "a": {"$id": "urn:b", "items": {"allOf": [{"$ref": "urn:b"}] * 2}}
            },
            "$ref": "urn:b",
        },
        "",
    ),
    "doubling by an anchor": (
        {"$anchor": "top", "items": {"allOf": [{"$ref": "#top"}] * 2}},
        "",
    ),
    "a circle that stays at one value": ({"allOf": [{"$ref": "#"}]}, ""),
    "a dynamic reference": (
        {"$defs": {"a": {"$dynamicAnchor": "a"}}, "allOf": [{"$dynamicRef": "#a"}]},
        "/allOf/0/$dynamicRef",
    ),
    "unevaluated in unevaluated": (nested(10), ""),
    "a long chain": (chain(1_000), ""),
    "many subschemas": (
        {"prefixItems": [{"minimum": n} for n in range(MAX_SUBSCHEMAS)]},
        "",
    ),
    "long": ({"enum": ["x" * 200_000]}, ""),
    "many numbers to compare": ({"items": {"enum": list(range(1_000))}}, ""),
    "many lists to compare": ({"items": {"enum": [[n] for n in range(100)]}}, ""),
    "many dependent names": (
        {"items": {"dependentRequired": {f"q{n}": [] for n in range(2_000)}}},
        "",
    ),
    "many patterns for one text": (
        {"allOf": [{"pattern": f"a{n}"} for n in range(20)]},
        "",
    ),
    "many patterns for one name": (
        {"patternProperties": {f"a{n}": {} for n in range(20)}},
        "",
    ),
    "a back-reference": ({"pattern": r"(a|b)\1"}, "/pattern"),
    "look-ahead": ({"items": {"pattern": "(?=a)"}}, "/items/pattern"),
    "look-behind in a name": (
        {"patternProperties": {"(?<=a)/b": {}}},
        "/patternProperties/(?<=a)~1b",
    ),
    "a pattern that grows": ({"pattern": r"(?:\w{100}){1000}"}, "/pattern"),
    "memory for many patterns": (
        {
            "properties": {
                f"p{n}": {"pattern": f"^.{{{n},{n + 300}}}$"} for n in range(99)
            }
        },
        "",
    ),
    "division by almost nothing": ({"multipleOf": 1e-300}, "/multipleOf"),
    "a number without end": ({"maximum": 10**200}, ""),
    "one of numbers without end": ({"enum": [10**200]}, ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_costs_too_much_is_not_registered(name: str) -> None:
    schema, pointer = REFUSED[name]
    with pytest.raises(InvalidSchema) as caught:
        register_schema(TYPE, {"$id": "urn:a", **schema}, by="test")
    assert [where for where, _ in caught.value.problems] == [f"/schema{pointer}"]
    assert not EventSchema.objects.exists()


ORDINARY = {
    "a tree": (
        {"properties": {"name": INT, "children": {"items": {"$ref": "#"}}}},
        {"name": 1, "children": [{"name": 2, "children": []}]},
        {"name": 1, "children": [{"name": "2"}]},
        "/data/children/0/name",
    ),
    "an embedded resource": (
        {
            "$defs": {"a": {"$id": "https://b.example/b", "$anchor": "c", **INT}},
            "items": {"$ref": "https://b.example/b#c"},
        },
        [1],
        ["1"],
        "/data/0",
    ),
    "countries": ({"enum": [f"C{n}" for n in range(250)]}, "C7", "D", "/data"),
    "prices": (
        {"properties": {"p": {"multipleOf": 0.01}}},
        {"p": 1.5},
        {"p": 0.001},
        "/data/p",
    ),
    "patterns of many fields": (
        {"properties": {f"p{n}": {"pattern": "^[A-Z]{2}$"} for n in range(100)}},
        {"p7": "AB"},
        {"p7": "abc"},
        "/data/p7",
    ),
    "names that belong together": (
        {"dependencies": {"a": ["b"], "b": True, "c": {"required": ["d"]}}},
        {"a": 1, "b": 2},
        {"a": 1},
        "/data",
    ),
    "kinds of one event": (
        {"oneOf": [{"properties": {"kind": {"const": f"k{n}"}}} for n in range(20)]},
        {"kind": "k7"},
        {"kind": "x"},
        "/data",
    ),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_what_is_ordinary_is_registered_and_checks(name: str) -> None:
    schema, good, bad, pointer = ORDINARY[name]
    register_schema(TYPE, {"$id": "urn:a", **schema}, by="test")
    publish(TYPE, good)
    with pytest.raises(SchemaViolation) as caught:
        publish(TYPE, bad)
    assert [where for where, _ in caught.value.problems] == [pointer]


@pytest.mark.parametrize(
    ("schema", "data", "words"),
    [
        # 64 KiB pass whatever the schema is; 1 MiB where the schema is cheap.
        ({"items": INT}, [0] * 500_000, None),
        ({"allOf": [{"pattern": "a"}] * 10}, "a" * 64 * 1024, None),
        ({"allOf": [{"pattern": "a"}] * 10}, "a" * 200_000, "can check"),
        ({"uniqueItems": True}, [10**30 + n for n in range(200)], "beyond 64 bits"),
        ({}, 10**200, "100 digits"),
        # The library would collect half a million failures.
        ({"items": {"type": "string"}}, [0] * 500_000, 'not of type "string"'),
        ({"anyOf": [{"items": {"type": "string"}}]}, [0] * 500_000, "too large to say"),
        # One value fails as often as it lacks names.
        ({"items": {"required": [f"n{n}" for n in range(600)]}}, [{}] * 2_000, "n0"),
        (
            {"items": {"dependentRequired": {"a": [f"n{n}" for n in range(600)]}}},
            [{"a": 0}] * 1_500,
            "n0",
        ),
        # Each failure would repeat a part of the schema: gigabytes.
        ({"items": {"const": "x" * 100_000}}, ["y"] * 9_000, "xxx"),
        ({"pattern": "(a|b)*a(a|b){40}c"}, "a" * 500_000, "too large to say"),
    ],
)
def test_data_is_checked_as_far_as_it_can_be_in_time(
    schema: dict[str, Any], data: Any, words: str | None
) -> None:
    problems = compile_schema(schema).problems(data)
    assert len(problems) == (words is not None)
    assert (words or "") in "".join(detail for _, detail in problems)


def test_a_batch_is_checked_within_a_few_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of its events may take a second."""
    register_schema(TYPE, {"$id": "urn:a", **INT}, by="test")
    moments = itertools.count(step=2)
    monkeypatch.setattr(schemas, "thread_time", lambda: next(moments))
    with pytest.raises(BatchRefused) as caught:
        publish_batch([{"type": TYPE, "data": n} for n in range(4)])
    assert [where for where, _ in caught.value.problems] == ["/2/data", "/3/data"]
    assert "send fewer events" in caught.value.problems[0][1]
    for number in range(4):
        publish(TYPE, number)


def test_a_failure_does_not_repeat_the_data() -> None:
    compiled = compile_schema({"additionalProperties": False})
    (problem,) = compiled.problems({f"name{n}": n for n in range(1_000)})
    assert len(problem[1]) <= MAX_DETAIL


def test_a_schema_of_an_older_release_is_bounded_and_named_by_doctor() -> None:
    """It was registered before its cost was looked at."""
    EventSchema.objects.create(type=TYPE, dataschema="urn:a", schema=doubling(30))
    EventSchema.objects.create(type="fine", dataschema="urn:b", schema={"items": INT})
    with pytest.raises(SchemaViolation, match="in time"):
        publish(TYPE, {})
    (finding,) = examine_schemas()
    assert finding.title == "schema urn:a"
    EventSchema.objects.update(schema={"pattern": "^(?=a)"})
    registered_schemas.forget()
    publish(TYPE, "abc")
    with pytest.raises(SchemaViolation):
        publish(TYPE, "bcd")
