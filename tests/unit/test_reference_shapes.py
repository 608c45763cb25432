"""From JSON Schema to the rows and examples of the API's reference."""

from __future__ import annotations

from typing import Any

import pytest

from router.api.reference.examples import curl_path, sample
from router.api.reference.operations import read
from router.api.reference.shapes import Shape, Shapes
from router.templatetags.router_reference import prose

COMPONENTS = {
    "Colour": {
        "type": "string",
        "enum": ["red", "blue"],
        "description": "Of the coat.\n\n* `red` - Red\n* `blue` - Navy",
    },
    "Null": {"enum": [None]},
    "Player": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "coat": {"$ref": "#/c/Colour"}},
    },
    "Part": {
        "type": "object",
        "properties": {"parts": {"type": "array", "items": {"$ref": "#/c/Part"}}},
    },
}
SHAPES = Shapes({"c": COMPONENTS})


def shape(**schema: Any) -> Shape:
    return SHAPES.shape(schema)


def paths(result: Shape) -> list[str]:
    return [f"{field.prefix}{field.name}" for field in result.fields]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string", "format": "date-time"}, "string (date-time)"),
        # A width in bits tells a reader of JSON nothing.
        ({"type": "integer", "format": "int64"}, "integer"),
        ({"type": ["integer", "null"]}, "integer or null"),
        # The way of OpenAPI 3.0.
        ({"type": "integer", "nullable": True}, "integer or null"),
        ({"type": ["object", "null", "null"]}, "object or null"),
        ({"type": "array", "items": {"type": "string"}}, "array of string"),
        ({"type": "array", "items": {"$ref": "#/c/Player"}}, "array of object"),
        (
            {"additionalProperties": {"type": "string"}, "type": "object"},
            "map to string",
        ),
        ({"oneOf": [{"$ref": "#/c/Colour"}, {"$ref": "#/c/Null"}]}, "string or null"),
        ({"allOf": [{"$ref": "#/c/Colour"}], "readOnly": True}, "string"),
        ({"properties": {}}, "object"),
        ({"const": 7}, "integer"),
        ({}, "anything"),
    ],
)
def test_a_type_is_shown_in_words(schema: dict[str, Any], words: str) -> None:
    assert shape(**schema).type == words


def test_nested_fields_are_led_to_by_their_path() -> None:
    player = {"$ref": "#/c/Player"}
    band = shape(
        properties={
            "players": {"type": "array", "items": player},
            "leader": player,
            "by_seat": {"type": "object", "additionalProperties": player},
        }
    )

    assert paths(band) == [
        *("players", "players[].name", "players[].coat"),
        *("leader", "leader.name", "leader.coat"),
        *("by_seat", "by_seat{}.name", "by_seat{}.coat"),
    ]
    assert [field.name for field in band.fields if field.is_required] == ["name"] * 3


def test_a_cycle_ends_where_it_begins_again() -> None:
    part = shape(**{"$ref": "#/c/Part"})

    assert paths(part) == ["parts"]
    assert part.fields[0].type == "array of object"
    assert sample(SHAPES, {"$ref": "#/c/Part"}) == {"parts": [{}]}


def test_choices_have_their_labels_where_these_say_more() -> None:
    (_, coat) = shape(**{"$ref": "#/c/Player"}).fields

    assert [(choice.value, choice.meaning) for choice in coat.choices] == [
        ("red", ""),
        ("blue", "Navy"),
    ]
    assert coat.description == "Of the coat."


def test_a_field_of_alternatives_is_required_where_all_require_it() -> None:
    first = {"required": ["id", "name"], "properties": {"id": {}, "name": {}}}
    other = {"required": ["id"], "properties": {"id": {}, "name": {}}}

    either = shape(oneOf=[first, other])

    assert paths(either) == ["id", "name"]
    assert [field.is_required for field in either.fields] == [True, False]


def test_limits_are_described_and_those_of_the_machine_are_not() -> None:
    limits = {"minLength": 1, "maxLength": 9, "default": ""}
    wide = {"minimum": -(2**63), "maximum": 2**63 - 1}
    text, number, texts = shape(
        properties={
            "text": {"type": "string", **limits},
            "number": {"type": "integer", **wide},
            "texts": {"type": "array", "items": {"type": "string", "maxLength": 9}},
        }
    ).fields

    assert text.limits == ("not empty", "9 characters at most", 'default ""')
    assert number.limits == ()
    assert texts.limits == ("each 9 characters at most",)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        # What must be there, and no more.
        ({"$ref": "#/c/Player"}, {"name": "…"}),
        # Nothing must: the first that may be written.
        (
            {"properties": {"id": {"readOnly": True}, "size": {"type": "integer"}}},
            {"size": 1},
        ),
        ({"example": {"a": 1}, "type": "object"}, {"a": 1}),
        ({"type": "array", "items": {"$ref": "#/c/Colour"}}, ["red"]),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": ["null", "integer"]}, None),
    ],
)
def test_an_example_is_the_smallest_that_fits(
    schema: dict[str, Any], value: object
) -> None:
    assert sample(SHAPES, schema) == value


def test_curl_is_given_variables_of_the_shell_for_what_is_left_to_say() -> None:
    needed = {"name": "max-count", "in": "query", "required": True}
    free = {"name": "cursor", "in": "query"}

    path = curl_path("/api/things/{name}/", [needed, free])

    assert path == "/api/things/$NAME/?max-count=$MAX_COUNT"


def test_a_document_of_nothing_is_read() -> None:
    reference = read({"openapi": "3.1.1", "info": {"title": "Empty", "version": "1"}})

    assert (reference.title, reference.groups, reference.problem) == ("Empty", (), None)


def test_an_operation_that_says_little_is_read() -> None:
    document = {"paths": {"/a/": {"get": {"responses": {"default": {}}}}}}

    ((operation,),) = (group.operations for group in read(document).groups)

    assert (operation.method, operation.id) == ("GET", "get-/a/")
    assert not operation.has_key
    assert operation.answers[0].status == "default"


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("One.\n\nTwo.", "<p>One.</p>\n<p>Two.</p>"),
        ("The `name`.", "<p>The <code>name</code>.</p>"),
        ("``a``", "<p><code>a</code></p>"),
        ("* one\n* `two`", "<ul><li>one\n</li><li><code>two</code></li></ul>"),
        # Text stays text.
        ("<b> `<i>`", "<p>&lt;b&gt; <code>&lt;i&gt;</code></p>"),
        ("", ""),
    ],
)
def test_a_description_has_paragraphs_lists_and_code(text: str, html: str) -> None:
    assert prose(text) == html
