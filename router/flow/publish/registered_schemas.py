"""The registered schemas that this process knows of.

Publishing must stay one statement: the rows are read again only every few seconds, or
when an event names a schema that is not among them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from router.conf import conf
from router.contract.errors import InvalidSchema
from router.flow.publish.json_schema import CompiledSchema, compile_schema
from router.models import EventSchema

#: `$id` → the schema, the oldest first; None for one that is retired, or that this
#: release can't use: it checks nothing.
Known = dict[str, CompiledSchema | None]
#: Its type, `$id` and schema.
Row = tuple[str, str, CompiledSchema | None]

#: What changes when a row is checked against in another way.
STATE = ("pk", "created_at", "retired_at")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Known:
    """The rows as they were read at a time; never changed, only replaced.

    Each publish asks for one type, however many schemas others have.
    """

    #: What names a row's state → the row, oldest first.
    rows: dict[Hashable, Row]
    by_type: Mapping[str, Known]
    read_at: float
    #: Looked for since then.
    looked_for: set[tuple[str, str]] = field(default_factory=set)


_known: _Known | None = None


def of_type(event_type: str) -> Known:
    """The schemas of this type."""
    return {**_fresh().by_type.get(event_type, {})}


def types() -> set[str]:
    """The types that have a schema which is in force."""
    return {kind for kind, _, schema in _fresh().rows.values() if schema is not None}


def look_again(event_type: str, dataschema: str) -> Known:
    """`of_type` after another read of the database, for a schema that is missing."""
    known = _known
    if known is None or (event_type, dataschema) not in known.looked_for:
        known = _read(known)
        known.looked_for.add((event_type, dataschema))
    return {**known.by_type.get(event_type, {})}


def forget() -> None:
    """Forget the schemas: the next call reads the database."""
    global _known
    _known = None


def _fresh() -> _Known:
    known = _known
    if known is None or _age(known) > conf().schema_refresh_seconds:
        known = _read(known)
    return known


def _read(before: _Known | None) -> _Known:
    global _known
    moment = time.monotonic()
    names = list(EventSchema.objects.order_by("pk").values_list(*STATE))
    seen = before.rows if before else {}
    new = [name[0] for name in names if name not in seen]
    schemas = {**seen, **(_compiled(new) if new else {})}
    rows = {name: schemas[name] for name in names if name in schemas}
    _known = _Known(rows=rows, by_type=_by_type(rows.values()), read_at=moment)
    return _known


def _compiled(keys: list[int]) -> dict[Hashable, Row]:
    return {
        tuple(getattr(row, name) for name in STATE): (
            row.type,
            row.dataschema,
            None if row.retired_at else _usable(row),
        )
        for row in EventSchema.objects.filter(pk__in=keys)
    }


def _usable(row: EventSchema) -> CompiledSchema | None:
    try:
        return compile_schema(row.schema)
    except InvalidSchema:
        # It was valid once: a newer library must not stop every publisher.
        logger.exception("The registered schema %s can't be used", row.dataschema)
        return None


def _by_type(rows: Iterable[Row]) -> dict[str, Known]:
    by_type: dict[str, Known] = {}
    for kind, dataschema, schema in rows:
        by_type.setdefault(kind, {})[dataschema] = schema
    return by_type


def _age(known: _Known) -> float:
    return time.monotonic() - known.read_at
