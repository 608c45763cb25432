"""Each rule of the grammar as a function of the event's attributes.

An expression becomes closures once; evaluating it interprets nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

from lark import Token, Transformer, v_args

from router.contract.cesql.errors import ErrorKind, EvaluationError, ParseError
from router.contract.cesql.functions import find
from router.contract.cesql.like import like
from router.contract.cesql.operators import ARITHMETIC, COMPARISONS
from router.contract.cesql.values import (
    CASTS,
    Attributes,
    Value,
    bounded,
    integer_of,
    to_boolean,
    to_integer,
    to_string,
)

#: Raises `EvaluationError`.
Run: TypeAlias = Callable[[Attributes], Value]
Connective: TypeAlias = Callable[[Value, Run, Attributes], bool]
Meaning = TypeVar("Meaning")
OPERATORS = {**COMPARISONS, **ARITHMETIC}
#: Of signs, calls and operators within each other.
MAX_DEPTH = 50
#: LIKE looks at no longer text: its time grows with text and pattern.
MAX_LIKE = 10_000


@dataclass(frozen=True)
class Node:
    """A part of an expression.

    `kind` is the type of its value, None for an attribute's; `problems` name the
    functions that do not exist.
    """

    run: Run
    kind: type | None
    depth: int = 0
    problems: tuple[str, ...] = ()


def _node(run: Run, kind: type | None, *parts: Node, at: Token | None = None) -> Node:
    depth = max((part.depth for part in parts), default=0) + 1
    if depth > MAX_DEPTH:
        message = f"the expression is nested deeper than {MAX_DEPTH} levels"
        raise ParseError(message, _position(at))
    problems = tuple(problem for part in parts for problem in part.problems)
    return Node(run, kind, depth, problems)


def _position(token: Token | None) -> int:
    """Which character a token begins with, from 1."""
    return (token.start_pos or 0) + 1 if token is not None else 1


@v_args(inline=True)
class Builder(Transformer[Token, Node]):
    """Makes a node of what each rule has matched."""

    def connection(self, first: Node, *rest: Any) -> Node:
        start, steps = first.run, _steps(rest, CONNECTIVES)

        def run(attributes: Attributes) -> Value:
            value = start(attributes)
            for connect, right in steps:
                value = connect(value, right, attributes)
            return value

        return _node(run, bool, first, *rest[1::2], at=rest[0])

    def operation(self, first: Node, *rest: Any) -> Node:
        start, steps = first.run, _steps(rest, OPERATORS)

        def run(attributes: Attributes) -> Value:
            value = start(attributes)
            for operate, right in steps:
                value = operate(value, right(attributes))
            return value

        kind = bool if rest[0] in COMPARISONS else int
        return _node(run, kind, first, *rest[1::2], at=rest[0])

    def like(self, left: Node, at: Token, pattern: Token) -> Node:
        return _like(left, at, pattern, is_wanted=True)

    def not_like(self, left: Node, at: Token, _: Token, pattern: Token) -> Node:
        return _like(left, at, pattern, is_wanted=False)

    def is_in(self, left: Node, at: Token, members: list[Node]) -> Node:
        return _is_in(left, at, members, is_wanted=True)

    def not_in(self, left: Node, at: Token, _: Token, members: list[Node]) -> Node:
        return _is_in(left, at, members, is_wanted=False)

    def negation(self, at: Token, operand: Node) -> Node:
        inner = operand.run
        return _node(lambda each: not to_boolean(inner(each)), bool, operand, at=at)

    def minus(self, at: Token, operand: Node) -> Node:
        inner = operand.run
        return _node(
            lambda each: bounded(-to_integer(inner(each))), int, operand, at=at
        )

    def exists(self, _: Token, name: Token) -> Node:
        attribute = name.lower()
        return _node(lambda attributes: attribute in attributes, bool)

    def attribute(self, name: Token) -> Node:
        attribute = name.lower()
        message = f"the event has no attribute {attribute}"

        def run(attributes: Attributes) -> Value:
            value = attributes.get(attribute)
            if value is None:
                raise EvaluationError(ErrorKind.MISSING_ATTRIBUTE, message)
            return value

        return _node(run, None)

    def integer(self, token: Token) -> Node:
        number = integer_of(token)
        if number is None:
            message = f"{token[:20]} is no Integer of 32 bits"
            raise ParseError(message, _position(token))
        return _constant(number)

    def string(self, token: Token) -> Node:
        return _constant(_text(token))

    def boolean(self, token: Token) -> Node:
        return _constant(token.lower() == "true")

    def arguments(self, *nodes: Node) -> list[Node]:
        return list(nodes)

    def call(self, name: Token, arguments: list[Node] | None) -> Node:
        return _call(name, arguments or [])


def _steps(
    rest: Sequence[Any], meanings: dict[str, Meaning]
) -> list[tuple[Meaning, Run]]:
    """What each operator does, with the operand on its right."""
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return [(meanings[str(token).upper()], node.run) for token, node in pairs]


def _and(left: Value, right: Run, attributes: Attributes) -> bool:
    return to_boolean(left) and to_boolean(right(attributes))


def _or(left: Value, right: Run, attributes: Attributes) -> bool:
    return to_boolean(left) or to_boolean(right(attributes))


def _xor(left: Value, right: Run, attributes: Attributes) -> bool:
    return to_boolean(left) is not to_boolean(right(attributes))


CONNECTIVES: dict[str, Connective] = {"AND": _and, "OR": _or, "XOR": _xor}


def _constant(value: Value) -> Node:
    return _node(lambda attributes: value, type(value))


def _text(token: Token) -> str:
    """The text of a literal: only its own quote is escaped in it (2.2)."""
    quote = token[0]
    return token[1:-1].replace(f"\\{quote}", quote)


def _like(left: Node, at: Token, pattern: Token, *, is_wanted: bool) -> Node:
    inner, expression = left.run, like(_text(pattern))

    def run(attributes: Attributes) -> bool:
        text = to_string(inner(attributes))
        if len(text) > MAX_LIKE:
            message = f"LIKE compares no text of more than {MAX_LIKE:,} characters"
            raise EvaluationError(ErrorKind.GENERIC, message)
        return (expression.fullmatch(text) is not None) is is_wanted

    return _node(run, bool, left, at=at)


def _is_in(left: Node, at: Token, members: list[Node], *, is_wanted: bool) -> Node:
    inner, others = left.run, [member.run for member in members]

    def run(attributes: Attributes) -> bool:
        value = inner(attributes)
        cast = CASTS[type(value)]
        is_there = any(cast(other(attributes)) == value for other in others)
        return is_there is is_wanted

    return _node(run, bool, left, *members, at=at)


def _call(name: Token, arguments: list[Node]) -> Node:
    found = find(name, len(arguments))
    if found is None:
        return _unknown(name, arguments)
    function, casts = found
    call = function.call
    steps = [(node.run, cast) for node, cast in zip(arguments, casts, strict=True)]

    def run(attributes: Attributes) -> Value:
        values = [cast(inner(attributes)) for inner, cast in steps]
        try:
            return call(*values)
        except EvaluationError as error:
            error.origin = run
            raise

    return _node(run, function.returns, *arguments, at=name)


def _unknown(name: Token, arguments: list[Node]) -> Node:
    message = f"there is no function {name.upper()} with {len(arguments)} arguments"

    def run(attributes: Attributes) -> Value:
        raise EvaluationError(ErrorKind.MISSING_FUNCTION, message)

    node = _node(run, bool, *arguments, at=name)
    problem = f"at character {_position(name)}: {message}"
    return replace(node, problems=(*node.problems, problem))
