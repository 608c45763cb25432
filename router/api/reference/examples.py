"""Calls to copy: what is left to fill in stands as a variable of the shell."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from router.api.reference.shapes import (
    NOTHING,
    Followed,
    Schema,
    Shapes,
    kinds,
    options,
    values,
)

SAMPLE_OF: dict[str, Any] = {
    "object": {},
    "string": "…",
    "integer": 1,
    "number": 1.5,
    "boolean": True,
}
SAMPLE_OF_FORMAT = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "uri": "https://example.com/events",
    "uuid": "0190163d-8694-739b-aea5-966c26f8ad91",
}


def curl_path(path: str, parameters: Sequence[Mapping[str, Any]]) -> str:
    """The path with `$NAME` for `{name}`, and the parameters that must be there."""
    filled = re.sub(r"\{(\w+)\}", lambda match: _variable(match[1]), path)
    needed = [
        f"{parameter['name']}={_variable(parameter['name'])}"
        for parameter in parameters
        if parameter["in"] == "query" and parameter.get("required")
    ]
    return "?".join(filter(None, [filled, "&".join(needed)]))


def curl_options(
    method: str,
    *,
    has_key: bool,
    headers: Sequence[Mapping[str, Any]],
    media_type: str,
    body: Any,
) -> tuple[str, ...]:
    """Each option a line; `body` None sends none."""
    options = [] if method == "GET" else [f"-X {method}"]
    if has_key:
        options.append('-H "Authorization: Bearer $KEY"')
    options += [
        f'-H "{header["name"]}: {_variable(header["name"])}"' for header in headers
    ]
    if body is not None:
        text = json.dumps(body, ensure_ascii=False)
        options += [f'-H "Content-Type: {media_type}"', f"-d {shlex.quote(text)}"]
    return tuple(options)


def sample_body(shapes: Shapes, content: Mapping[str, Any]) -> Any:
    """The example that the media type's description gives, or one made up."""
    if "example" in content:
        return content["example"]
    for example in content.get("examples", {}).values():
        if "value" in example:
            return example["value"]
    return sample(shapes, content.get("schema", {}))


def sample(shapes: Shapes, schema: Any, followed: Followed = NOTHING) -> Any:
    """The smallest value that fits; of an object without duties, its first field."""
    flat, followed = shapes.flat(schema, followed)
    given = [*flat.get("examples", ()), *values(flat)]
    if "example" in flat:
        return flat["example"]
    if given:
        return given[0]
    if several := options(flat):
        return sample(shapes, several[0], followed)
    kind = next(iter(kinds(flat)), "object")
    if kind == "array":
        return [sample(shapes, flat.get("items"), followed)]
    if kind == "object" and flat.get("properties"):
        return _sample_object(shapes, flat, followed)
    return SAMPLE_OF_FORMAT.get(flat.get("format", ""), SAMPLE_OF.get(kind))


def _sample_object(shapes: Shapes, flat: Schema, followed: Followed) -> dict[str, Any]:
    properties = flat["properties"]
    writable = [name for name in properties if not properties[name].get("readOnly")]
    needed = [name for name in writable if name in flat.get("required", ())]
    chosen = needed or writable[:1]
    return {name: sample(shapes, properties[name], followed) for name in chosen}


def _variable(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name).upper()
