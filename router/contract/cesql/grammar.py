"""The grammar of CESQL 1.0 (2 and 3.6), and its parser.

Chains such as `a AND b AND c` are one node, and the parser calls the builder as it
goes: neither a long text nor a deep one makes Python's stack grow.
"""

from __future__ import annotations

from functools import cache

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from router.contract.cesql.errors import ParseError
from router.contract.cesql.nodes import Builder, Node

#: Of one expression. It bounds what parsing and evaluating can cost.
MAX_LENGTH = 4_000

# AND, OR and XOR have one precedence, and go from left to right (3.6). After a value
# `-` is an operator and before one a sign, so that `4 -1` is 3.
GRAMMAR = r"""
?start: logic
?logic: comparison | comparison (LOGIC comparison)+ -> connection
?comparison: sum | sum (COMPARISON sum)+ -> operation
?sum: product | product (SUM product)+ -> operation
?product: membership | membership (PRODUCT membership)+ -> operation
?membership: prefixed
    | membership LIKE STRING -> like
    | membership NOT LIKE STRING -> not_like
    | membership IN "(" arguments ")" -> is_in
    | membership NOT IN "(" arguments ")" -> not_in
?prefixed: atom
    | NOT prefixed -> negation
    | MINUS prefixed -> minus
?atom: "(" logic ")"
    | EXISTS NAME -> exists
    | FUNCTION "(" [arguments] ")" -> call
    | NAME -> attribute
    | INTEGER -> integer
    | STRING -> string
    | BOOLEAN -> boolean
arguments: logic ("," logic)*

LOGIC.3: /(AND|OR|XOR)(?![A-Z0-9_])/i
NOT.3: /NOT(?![A-Z0-9_])/i
LIKE.3: /LIKE(?![A-Z0-9_])/i
IN.3: /IN(?![A-Z0-9_])/i
EXISTS.3: /EXISTS(?![A-Z0-9_])/i
BOOLEAN.3: /(TRUE|FALSE)(?![A-Z0-9_])/i
INTEGER.2: /[+-]?[0-9]+(?![A-Z0-9_])/i
FUNCTION.1: /[A-Z][A-Z_]*(?=[ \t\r\n]*\()/i
NAME: /[A-Z0-9]+/i
STRING: /'(\\.|[^'\\])*'/s | /"(\\.|[^"\\])*"/s
COMPARISON: "<=" | ">=" | "<>" | "!=" | "=" | "<" | ">"
SUM: "+" | "-"
PRODUCT: "*" | "/" | "%"
MINUS: "-"

%ignore /[ \t\r\n]+/
"""


def parse(text: str) -> Node:
    """The program of an expression. Raises `ParseError`."""
    if len(text) > MAX_LENGTH:
        message = f"the expression has more than {MAX_LENGTH:,} characters"
        raise ParseError(message, MAX_LENGTH + 1)
    try:
        return _parser().parse(text)  # type: ignore[return-value]  # the builder's
    except UnexpectedInput as error:
        raise _parse_error(error, text) from None


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", transformer=Builder(), maybe_placeholders=True)


def _parse_error(error: UnexpectedInput, text: str) -> ParseError:
    expected: set[str] = set()
    position = len(text)
    if isinstance(error, UnexpectedCharacters):
        expected, position = set(error.allowed), error.pos_in_stream or 0
    elif isinstance(error, UnexpectedToken):
        expected = set(error.accepts or error.expected)
        if error.token.type != "$END":
            position = error.pos_in_stream or 0
    return ParseError(_message(expected, text[position : position + 20]), position + 1)


def _message(expected: set[str], rest: str) -> str:
    if rest[:1] in ("'", '"') and "STRING" in expected:
        return "the text in quotes does not end"
    if rest.startswith("."):
        return "no name has a dot: SQL reads attributes, and nothing in the data"
    if rest:
        return f"expected {_wanted(expected)}, found `{rest}`"
    is_open = "RPAR" in expected and "INTEGER" not in expected
    return (
        f"expected {_wanted(expected)}{' or `)`' if is_open else ''}, but the "
        "expression ends"
    )


def _wanted(expected: set[str]) -> str:
    if "INTEGER" in expected:
        return "a value"
    if expected == {"STRING"}:
        return "a text in quotes"
    if expected == {"NAME"}:
        return "the name of an attribute"
    if expected == {"LPAR"}:
        return "`(`"
    return "an operator"
