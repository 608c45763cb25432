"""CloudEvents SQL beyond the tests of its specification: precedence, limits, words."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.contract.cesql.errors import ParseError
from router.contract.cesql.grammar import MAX_LENGTH
from router.contract.cesql.nodes import MAX_DEPTH, MAX_LIKE
from router.contract.cesql.program import Program, sql_problems

EVENT: dict[str, str | int | bool] = {
    "specversion": "1.0",
    "id": "purchase-7",
    "source": "/shop",
    "type": "purchase.completed",
    "subject": "vip-7",
    "region": "AT",
    "count": 7,
    "gift": True,
}


def value_of(expression: str, **more: Any) -> Any:
    return Program(expression).evaluate({**EVENT, **more}).value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # AND, OR and XOR go from left to right, whatever follows.
        ("TRUE OR TRUE AND FALSE", False),
        ("TRUE OR (TRUE AND FALSE)", True),
        ("FALSE AND missing OR TRUE", True),
        ("TRUE XOR TRUE OR TRUE", True),
        # NOT binds more tightly than anything but a call.
        ("NOT FALSE = TRUE", True),
        ("NOT gift LIKE 'false'", True),
        ("NOT EXISTS region OR gift", True),
        # A minus is an operator after a value, and a sign before one.
        ("4 -1", 3),
        ("4-1", 3),
        ("4 - -1", 5),
        ("-count + 8", 1),
        ("1 + 2 * 3 - 4 / 2", 5),
        ("10 - 3 - 2", 5),
        # Division rounds towards 0; a remainder has the sign of the dividend.
        ("-7 / 2", -3),
        ("7 / -2", -3),
        ("-7 % 2", -1),
        ("7 % -2", 1),
        # The right operand's type decides.
        ("count = '7'", True),
        ("'07' = 7", True),
        ("7 = '07'", False),
        ("gift = 1", True),
        ("1 < 2 = TRUE", True),
        # LIKE binds more tightly than IN, and both more than operators of numbers.
        ("region LIKE 'A_' IN (TRUE)", True),
        ("1 + count IN (7)", 2),
        ("count NOT IN (1, 2)", True),
        # Names and keywords in any case.
        ("exists REGION And Region In ('AT')", True),
        ("lEnGtH(subject)", 5),
        ("CONCAT (subject, '/', count, gift)", "vip-7/7true"),
        ("CONCAT_WS('-', 1, 2)", "1-2"),
        ("TRIM('\u2003 a\x1f\t')", "a\x1f"),
        ("SUBSTRING('abcdef', -2, 9)", "ef"),
        ("IS_INT(subject) OR IS_INT('-8') AND IS_BOOL('tRue')", True),
        # Only the quote that delimits a text is escaped in it.
        (r"'a\'b' = " + r'"a' + "'" + r'b"', True),
        (r"LENGTH('a\b\"c')", 6),
        # A text has no escape but these, and a pattern two more.
        (r"'50%' LIKE '50\%'", True),
        (r"'50 cents' LIKE '50\%'", False),
        (r"'a\c' LIKE 'a\_'", False),
        ("'a\nb' LIKE 'a_b'", True),
        ("'aXbXc' LIKE '%X%X_'", True),
        ("'.*' LIKE '._'", True),
        ("'xx' LIKE '.*'", False),
        ("'' LIKE '%'", True),
    ],
)
def test_an_expression_has_its_value(expression: str, value: Any) -> None:
    result = Program(expression).evaluate(EVENT)

    assert (result.value, result.error) == (value, None)


@pytest.mark.parametrize(
    ("expression", "value", "kind"),
    [
        ("2147483647 + 1", 0, "math"),
        ("-2147483648 - 1", 0, "math"),
        ("-(-2147483648 + 0)", 0, "math"),
        ("-2147483648 / -1", 0, "math"),
        ("INT('2147483648')", 0, "cast"),
        ("INT(' 1')", 0, "cast"),
        ("INT('٣')", 0, "cast"),
        (f"INT('{'9' * 3900}')", 0, "cast"),
        ("subject = 7", False, "cast"),
        ("NOT subject", False, "cast"),
        # What an operand did wrong is not the operator's to repair.
        ("NOT (1 / 0 = 1)", False, "math"),
        ("LENGTH(LEFT('abc', -1))", 0, "functionEvaluation"),
        ("missing OR TRUE", False, "missingAttribute"),
        ("count IN (1, missing)", False, "missingAttribute"),
        ("missing NOT IN (1)", False, "missingAttribute"),
        ("LEN(subject) = 5", False, "missingFunction"),
        ("long LIKE '%'", False, "generic"),
    ],
)
def test_an_error_has_its_kind_and_its_value(
    expression: str, value: Any, kind: str
) -> None:
    event = {**EVENT, "long": "x" * (MAX_LIKE + 1)}
    result = Program(expression).evaluate(event)

    assert (result.value, result.error and result.error.kind.value) == (value, kind)
    assert not Program(expression).passes(event)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "at character 1: expected a value, but the expression ends"),
        ("subject =", "at character 10: expected a value, but the expression ends"),
        ("subject = = 1", "at character 11: expected a value, found `= 1`"),
        ("subject 7", "at character 9: expected an operator, found `7`"),
        ("(gift", "at character 6: expected an operator or `)`, but the expression"),
        ("gift)", "at character 5: expected an operator, found `)`"),
        ("subject LIKE count", "at character 14: expected a text in quotes, found"),
        ("EXISTS 'a'", "at character 8: expected the name of an attribute, found"),
        ("gift IN ()", "at character 10: expected a value, found `)`"),
        ("subject = 'vip", "at character 11: the text in quotes does not end"),
        ("2147483648 = 1", "at character 1: 2147483648 is no Integer of 32 bits"),
        ("my_name = 1", "at character 3: expected an operator, found `_name = 1`"),
        ("data.total = 1", "at character 5: no name has a dot: SQL reads attributes"),
        (
            "gift AND LEN(id) = 1",
            "at character 10: there is no function LEN with 1 arg",
        ),
        ("CONCAT_WS() = ''", "at character 1: there is no function CONCAT_WS with 0"),
        ("count + 1", "it is an Integer, and a filter is true or false: compare it"),
        ("LOWER(subject)", "it is a String, and a filter is true or false"),
    ],
)
def test_a_problem_says_where_it_is(text: str, problem: str) -> None:
    [found] = sql_problems(text)

    assert found.startswith(problem)


@pytest.mark.parametrize(
    "text",
    [
        " " * MAX_LENGTH + "TRUE",
        "-" * MAX_DEPTH + "1 = 1",
        "NOT " * MAX_DEPTH + "TRUE",
        "ABS(" * MAX_DEPTH + "1" + ")" * MAX_DEPTH + " = 1",
        "(1 + " * MAX_DEPTH + "1" + ")" * MAX_DEPTH + " = 1",
        "TRUE IN (" * MAX_DEPTH + "TRUE" + ")" * MAX_DEPTH,
    ],
)
def test_what_is_too_long_or_too_deep_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"more than 4,000 characters|deeper than 50"):
        Program(text)


@pytest.mark.parametrize(
    "text",
    [
        " AND ".join(["count = 7"] * 250),
        "+".join(["count"] * 600) + "=4200",
        "(" * 900 + "TRUE" + ")" * 900,
        "count IN (" + ",".join(["1"] * 900) + ", 7)",
    ],
)
def test_a_long_chain_is_no_deep_one(text: str) -> None:
    assert Program(text).passes(EVENT)


@pytest.mark.parametrize(
    "pattern", ["%a" * 1_500 + "%b", "%" + "_" * 3_000 + "b", "%a_" * 1_000 + "b"]
)
def test_a_pattern_of_many_wildcards_is_still_matched(pattern: str) -> None:
    """One that backtracked would not come back."""
    assert value_of(f"long LIKE '{pattern}'", long="a" * MAX_LIKE) is False
    assert value_of(f"long LIKE '{pattern}'", long="a" * MAX_LIKE + "b") is False
    assert value_of(f"long LIKE '{pattern}'", long="a" * (MAX_LIKE - 1) + "b") is True


def test_a_joined_text_does_not_fill_the_memory() -> None:
    twice = "LENGTH(CONCAT(" + ",".join(["long"] * 200) + ")) > 0"

    result = Program(twice).evaluate({"long": "x" * 10_000})

    assert result.error
    assert result.error.kind == "functionEvaluation"


@given(st.text("ab%_\\X", max_size=8), st.text("abX_%\\", max_size=8))
def test_like_agrees_with_a_plain_matcher(pattern: str, text: str) -> None:
    """No quotes, and no backslash at the end: it would escape the closing quote."""
    if not pattern.endswith("\\"):
        wanted = matches(list(tokens(pattern)), text)
        assert value_of(f"x LIKE '{pattern}'", x=text) is wanted


def tokens(pattern: str) -> Any:
    while pattern:
        length = 2 if pattern[:2] in (r"\%", r"\_") else 1
        yield pattern[:length]
        pattern = pattern[length:]


def matches(pattern: list[str], text: str) -> bool:
    if not pattern:
        return not text
    first, *rest = pattern
    if first == "%":
        return any(matches(rest, text[skipped:]) for skipped in range(len(text) + 1))
    return (
        bool(text)
        and first in ("_", text[0], f"\\{text[0]}")
        and matches(rest, text[1:])
    ) and not (first.startswith("\\") and len(first) == 2 and text[0] not in "%_")


WORDS = """
AND OR XOR NOT = != < + - * / % LIKE IN EXISTS ( ) , 1 -1 'a' '%' TRUE id x
LENGTH( LEFT( INT( CONCAT(
"""
PIECES = st.sampled_from(WORDS.split())


@given(st.lists(PIECES, max_size=12).map(" ".join))
def test_any_text_is_refused_or_has_a_value(text: str) -> None:
    try:
        program = Program(text)
    except ParseError:
        return
    result = program.evaluate(EVENT)
    assert isinstance(result.value, str | int | bool)
    assert program.passes(EVENT) is (result.value is True and result.error is None)
