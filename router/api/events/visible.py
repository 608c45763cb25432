"""The part of the log that a key may read: what it could publish, or its subscribers
may receive."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import and_, or_
from typing import Any

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Right
from django.db.models.lookups import Exact

from router.contract.filters import EVERYTHING, intersection, matches_any
from router.db.patterns import ALL_ROWS, NO_ROW, begins_with, within
from router.flow.publish.own_events import NAMESPACE
from router.models import ApiKey, EventRecord, Scope, Subscriber
from router.observe.log_values import values_of_log
from router.transports.handler import TEST_TYPE

#: Attribute that a filter may compare → the column that has it.
COLUMN_OF_ATTRIBUTE = {
    "id": "event_id",
    "source": "source",
    "type": "type",
    "subject": "subject",
    "dataschema": "dataschema",
    "partitionkey": "partitionkey",
}
#: Different pairs of sources and filter, and patterns: each costs a condition for every
#: row that is looked at. Events beyond them are not shown.
MAX_FILTERS = 20
MAX_CONDITIONS = 200
OWN_TYPES = (NAMESPACE, f"{NAMESPACE}.*")


def visible_events(key: ApiKey) -> QuerySet[EventRecord]:
    """The events of the log that this key may read."""
    if not key.is_bound:
        return EventRecord.objects.all()
    return EventRecord.objects.filter(_publishable(key) | _received(key))


def _publishable(key: ApiKey) -> Q:
    if Scope.PUBLISH not in key.scopes:
        return NO_ROW
    own = _of(key.patterns("sources"), key.patterns("types"))
    return own & ~within("type", OWN_TYPES)


def _received(key: ApiKey) -> Q:
    """What its subscribers may receive, within the types and sources that it names."""
    known = Subscriber.objects.known()
    subscribers = list(known.filter(within("name", key.patterns("subscribers"))))
    alike: defaultdict[str, list[Subscriber]] = defaultdict(list)
    for subscriber in subscribers:
        limits = json.dumps([subscriber.allowed_sources, subscriber.filter])
        alike[limits].append(subscriber)
    groups = list(alike.values())[:MAX_FILTERS]
    received = reduce(or_, (_received_by(group, key) for group in groups), NO_ROW)
    # With its type, which has an index.
    keys = [subscriber.pk for subscriber in subscribers]
    own_tests = Q(type=TEST_TYPE, only_for__in=keys)
    # Corrected events are addressed, too.
    addressed = Q(only_for=None) | Q(only_for__in=keys)
    return own_tests | (addressed & received)


def _received_by(alike: list[Subscriber], key: ApiKey) -> Q:
    """By subscribers that have the same sources and the same filter."""
    types = {
        pattern: None
        for subscriber in alike
        for pattern in intersection(subscriber.events, subscriber.allowed_types)
    }
    sources = alike[0].allowed_sources
    received = _of(
        intersection(sources, key.sources or [EVERYTHING]),
        intersection(list(types), key.types or [EVERYTHING]),
    )
    return received & _passing(alike[0].filter)


def _of(sources: Iterable[str], types: Iterable[str]) -> Q:
    return _known("source", list(sources)) & _known("type", list(types))


def _known(column: str, patterns: list[str]) -> Q:
    """That a pattern fits: by the values that the log has, for which it has indexes."""
    if EVERYTHING in patterns:
        return ALL_ROWS
    known = values_of_log(column) if patterns else []
    if known is None:
        return within(column, patterns[:MAX_CONDITIONS])
    values = [value for value in known if matches_any(patterns, value)]
    return Q(**{f"{column}__in": values})


def _passing(expression: Mapping[str, Any] | None) -> Q:
    """That an event passes a filter; none does where it asks for what has no column."""
    try:
        return ALL_ROWS if expression is None else _condition(expression)
    except KeyError:
        return NO_ROW


def _condition(expression: Mapping[str, Any]) -> Q:
    """Raises `KeyError` for SQL, and for an attribute or data that has no column."""
    ((dialect, operand),) = expression.items()
    match dialect:
        case "all":
            return reduce(and_, map(_condition, operand))
        case "any":
            return reduce(or_, map(_condition, operand))
        case "not":
            return ~_condition(operand)
        case "sql":
            raise KeyError(dialect)
    compared = (
        _compared(dialect, COLUMN_OF_ATTRIBUTE[name], operand[name]) for name in operand
    )
    return reduce(and_, compared)


def _compared(dialect: str, column: str, text: str) -> Q:
    match dialect:
        case "exact":
            return Q(**{column: text})
        case "prefix":
            return begins_with(column, text)
    return Q(Exact(Right(F(column), len(text)), Value(text)))
