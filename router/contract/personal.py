"""Which values of an event's data are personal, by its schemas, and their erasure.

A schema marks a member with `"x-personal": true` where its value is overwritten when a
customer is erased, and with `"x-personal": "id"` where it is an id of the customer,
which stays. A personal member with `"format": "email"` names the customer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

KEYWORD = "x-personal"
ID = "id"
#: What stands in place of a text, and of a mail address: no mail ever reaches it (RFC
#: 2606).
ERASED = "[erased]"
ERASED_EMAIL = "erased@erased.invalid"
#: Any item of a list.
ANY_ITEM = "*"
COMBINED = ("allOf", "anyOf", "oneOf")
#: A schema that refers to itself ends here.
MAX_DEPTH = 20

Path = tuple[str, ...]


@dataclass(frozen=True)
class Customer:
    """Whose data is erased: an address, and the ids that it goes by."""

    email: str
    ids: frozenset[str] = frozenset()
    #: Source and id of each event that had data of the customer.
    events: frozenset[tuple[str, str]] = frozenset()

    def is_address(self, text: object) -> bool:
        return isinstance(text, str) and text.casefold() == self.email.casefold()


@dataclass(frozen=True, kw_only=True)
class PersonalFields:
    """The marked members of an event type's schemas, as paths into the data."""

    erased: frozenset[Path] = frozenset()
    emails: frozenset[Path] = frozenset()
    ids: frozenset[Path] = frozenset()

    @classmethod
    def of(cls, schemas: Collection[Mapping[str, Any]]) -> PersonalFields:
        marks = [mark for schema in schemas for mark in _marks(schema, schema, (), 0)]
        erased = {path for path, kind, _ in marks if kind is True}
        return cls(
            erased=frozenset(erased),
            emails=frozenset(
                path for path, kind, format_ in marks if kind and format_ == "email"
            ),
            ids=frozenset(path for path, kind, _ in marks if kind == ID),
        )

    def addresses_of(self, data: Any) -> Iterator[Any]:
        return _values(data, self.emails)

    def ids_of(self, data: Any) -> Iterator[Any]:
        return _values(data, self.ids)

    def texts_of(self, data: Any) -> Iterator[str]:
        """The texts that `erase` overwrites."""
        for value in _values(data, self.erased):
            yield from texts_in(value)

    def erase(self, data: Any) -> Any:
        """The data with its personal values overwritten."""
        for path in self.erased:
            data = _changed(data, path, partial(_erased, is_email=path in self.emails))
        return data


def _marks(
    schema: Any, root: Mapping[str, Any], path: Path, depth: int
) -> Iterator[tuple[Path, Any, Any]]:
    """Path, mark and format of each marked member."""
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return
    if KEYWORD in schema:
        yield path, schema[KEYWORD], schema.get("format")
    for part in (_referred(schema, root), *_combined(schema)):
        yield from _marks(part, root, path, depth + 1)
    for name, member in _members(schema):
        yield from _marks(member, root, (*path, name), depth + 1)


def _combined(schema: Mapping[str, Any]) -> Iterator[Any]:
    for name in COMBINED:
        parts = schema.get(name)
        yield from parts if isinstance(parts, list) else ()


def _members(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        yield from properties.items()
    if "items" in schema:
        yield ANY_ITEM, schema["items"]


def _referred(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    part: Any = root
    for step in reference[2:].split("/"):
        part = part.get(step) if isinstance(part, Mapping) else None
    return part


def _values(data: Any, paths: Collection[Path]) -> Iterator[Any]:
    for path in paths:
        yield from _at(data, path)


def _at(data: Any, path: Path) -> Iterator[Any]:
    if not path:
        yield data
    elif path[0] == ANY_ITEM and isinstance(data, list):
        for item in data:
            yield from _at(item, path[1:])
    elif isinstance(data, dict) and path[0] in data:
        yield from _at(data[path[0]], path[1:])


def _changed(data: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(data)
    if path[0] == ANY_ITEM and isinstance(data, list):
        return [_changed(item, path[1:], change) for item in data]
    if isinstance(data, dict) and path[0] in data:
        return {**data, path[0]: _changed(data[path[0]], path[1:], change)}
    return data


def _erased(value: Any, *, is_email: bool) -> Any:
    if isinstance(value, str):
        text = ERASED_EMAIL if is_email else ERASED
        return text if value else value
    if isinstance(value, dict):
        return {name: _erased(inner, is_email=False) for name, inner in value.items()}
    if isinstance(value, list):
        return [_erased(inner, is_email=is_email) for inner in value]
    return None


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value; names of members are none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts_in(inner)
