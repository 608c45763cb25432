"""What can be called: an OpenAPI document in, what a page shows of it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from router.api.http.problems import MEDIA_TYPE as PROBLEM_TYPE
from router.api.reference.examples import curl_options, curl_path, sample_body
from router.api.reference.shapes import Field, Shape, Shapes

Parameters = Sequence[Mapping[str, Any]]
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True)
class Body:
    media_type: str
    shape: Shape


@dataclass(frozen=True)
class Answer:
    status: str
    #: The status in words: `Not Found`.
    phrase: str
    description: str
    bodies: tuple[Body, ...]


@dataclass(frozen=True)
class Operation:
    id: str
    title: str
    method: str
    path: str
    description: str
    is_deprecated: bool
    #: Whether it is called with an API key, and what that key must be allowed.
    has_key: bool
    scopes: tuple[str, ...]
    parameters: tuple[Field, ...]
    is_body_required: bool
    bodies: tuple[Body, ...]
    answers: tuple[Answer, ...]
    #: The answers in the shape of a problem (RFC 9457).
    problems: tuple[Answer, ...]
    curl_path: str
    curl_options: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """The operations with one tag."""

    id: str
    title: str
    description: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Reference:
    title: str
    description: str
    version: str
    scopes: tuple[str, ...]
    groups: tuple[Group, ...]
    #: What the router itself calls, elsewhere.
    webhooks: tuple[Operation, ...]
    #: None, where no operation answers with a problem.
    problem: Shape | None
    #: The problems that every operation may answer with; they stand here alone.
    everywhere: tuple[Answer, ...]


def read(document: Mapping[str, Any]) -> Reference:
    """Everything that an OpenAPI document (3.0 or 3.1) says of its operations."""
    shapes = Shapes(document)
    operations = dict(_operations(shapes, "paths"))
    everywhere = _shared([operation.problems for operation in operations])
    problems = [answer for operation in operations for answer in operation.problems]
    scopes = [scope for operation in operations for scope in operation.scopes]
    info = document.get("info", {})
    return Reference(
        title=info.get("title", ""),
        description=info.get("description", ""),
        version=info.get("version", ""),
        scopes=tuple(dict.fromkeys(scopes)),
        groups=tuple(_groups(document, operations, everywhere)),
        webhooks=tuple(operation for operation, _ in _operations(shapes, "webhooks")),
        problem=problems[0].bodies[0].shape if problems else None,
        everywhere=everywhere,
    )


def _operations(shapes: Shapes, where: str) -> Iterator[tuple[Operation, str]]:
    """Each operation with its first tag."""
    for path, item in shapes.document.get(where, {}).items():
        for method in METHODS:
            if (operation := item.get(method)) is not None:
                shared = item.get("parameters", [])
                parameters = [
                    shapes.flat(parameter)[0]
                    for parameter in (*shared, *operation.get("parameters", ()))
                ]
                tag = next(iter(operation.get("tags", ())), "other")
                yield _operation(shapes, path, method, operation, parameters), tag


def _operation(
    shapes: Shapes,
    path: str,
    method: str,
    operation: Mapping[str, Any],
    parameters: Parameters,
) -> Operation:
    answers = [
        _answer(shapes, *each) for each in sorted(operation["responses"].items())
    ]
    request, _ = shapes.flat(operation.get("requestBody"))
    bodies = _bodies(shapes, request)
    keys = operation.get("security", shapes.document.get("security", []))
    identity = operation.get("operationId", f"{method} {path}")
    return Operation(
        id=identity.replace(" ", "-"),
        title=operation.get("summary") or identity.replace("_", " ").capitalize(),
        method=method.upper(),
        path=path,
        description=operation.get("description", ""),
        is_deprecated=operation.get("deprecated", False),
        has_key=any(keys),
        scopes=tuple(
            scope for schemes in keys for needed in schemes.values() for scope in needed
        ),
        parameters=tuple(_parameter(shapes, each) for each in parameters),
        is_body_required=request.get("required", False) or _has_duties(bodies),
        bodies=bodies,
        answers=tuple(each for each in answers if not _is_problem(each)),
        problems=tuple(each for each in answers if _is_problem(each)),
        curl_path=curl_path(path, parameters),
        curl_options=_curl(shapes, method, parameters, request, has_key=any(keys)),
    )


def _curl(
    shapes: Shapes,
    method: str,
    parameters: Parameters,
    request: Mapping[str, Any],
    *,
    has_key: bool,
) -> tuple[str, ...]:
    contents = request.get("content", {})
    media_type = next(iter(contents), "")
    return curl_options(
        method.upper(),
        has_key=has_key,
        headers=[
            parameter
            for parameter in parameters
            if parameter["in"] == "header" and parameter.get("required")
        ],
        media_type=media_type,
        body=sample_body(shapes, contents[media_type]) if contents else None,
    )


def _parameter(shapes: Shapes, parameter: Mapping[str, Any]) -> Field:
    known = {"place": parameter["in"], "is_required": parameter.get("required", False)}
    if description := parameter.get("description"):
        known["description"] = description
    return shapes.field(parameter["name"], parameter.get("schema", {}), **known)


def _bodies(shapes: Shapes, request: Mapping[str, Any]) -> tuple[Body, ...]:
    return tuple(
        Body(media_type, shapes.shape(content.get("schema", {})))
        for media_type, content in request.get("content", {}).items()
    )


def _has_duties(bodies: tuple[Body, ...]) -> bool:
    return any(field.is_required for body in bodies for field in body.shape.fields)


def _answer(shapes: Shapes, status: str, response: Mapping[str, Any]) -> Answer:
    flat, _ = shapes.flat(response)
    phrase = HTTPStatus(int(status)).phrase if status.isdecimal() else ""
    return Answer(status, phrase, flat.get("description", ""), _bodies(shapes, flat))


def _is_problem(answer: Answer) -> bool:
    return any(body.media_type == PROBLEM_TYPE for body in answer.bodies)


def _shared(several: list[tuple[Answer, ...]]) -> tuple[Answer, ...]:
    """The answers that stand in each of the lists."""
    first = several[0] if several else ()
    return tuple(
        answer for answer in first if all(answer in others for others in several)
    )


def _groups(
    document: Mapping[str, Any],
    tag_of: Mapping[Operation, str],
    everywhere: tuple[Answer, ...],
) -> Iterator[Group]:
    """In the order in which the document names its tags, then as they come."""
    descriptions = {
        tag["name"]: tag.get("description", "") for tag in document.get("tags", ())
    }
    for tag in dict.fromkeys([*descriptions, *tag_of.values()]):
        operations = tuple(
            _without(operation, everywhere)
            for operation, its_tag in tag_of.items()
            if its_tag == tag
        )
        if operations:
            title = tag.replace("-", " ").replace("_", " ").capitalize()
            identity = "tag-" + "-".join(tag.split())
            yield Group(identity, title, descriptions.get(tag, ""), operations)


def _without(operation: Operation, shared: tuple[Answer, ...]) -> Operation:
    own = tuple(answer for answer in operation.problems if answer not in shared)
    return replace(operation, problems=own)
