"""The API's description: OpenAPI 3.1, made from its views."""

from __future__ import annotations

import re
from typing import Any

from django.urls import get_script_prefix
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from router.api.auth.permissions import HasScope
from router.api.bodies import Body
from router.api.events.serializers import BATCH, CLOUDEVENT
from router.api.fields import Plain, whole
from router.api.http.problems import MEDIA_TYPE
from router.api.pull.serializers import MAX_ID
from router.operate.subscribers import NAME

PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank"},
        "title": {"type": "string", "description": "The status in words."},
        "status": {
            "type": "integer",
            "minimum": 400,
            "maximum": 599,
            "description": "The status once more.",
        },
        "detail": {
            "type": "string",
            "description": "What happened, and how to fix it.",
        },
        "errors": {
            "type": "array",
            "description": "Where the body breaks a rule.",
            "items": {"$ref": "#/components/schemas/ProblemError"},
        },
    },
}
PROBLEM_ERROR = {
    "type": "object",
    "required": ["pointer", "detail"],
    "properties": {
        "pointer": {
            "type": "string",
            "description": "JSON pointer into the body (RFC 6901).",
        },
        "detail": {"type": "string"},
    },
}
COMPONENTS = {
    "Problem": PROBLEM,
    "ProblemError": PROBLEM_ERROR,
    "CloudEvent": CLOUDEVENT,
    "CloudEventBatch": BATCH,
}
#: Status → when any call may answer so.
EVERYWHERE = {
    "400": "A query parameter is not known, or not as it must be.",
    "401": "The API key is missing, unknown, expired or revoked.",
    "403": "The API key lacks the scope, or is bound to something else.",
    "406": "The answer is asked for in another format than JSON.",
    "429": "The key has spent its calls of this minute.",
    "503": "The database does not answer; the same request may be sent again.",
}
OF_A_BODY = {
    "411": "The body came without its length.",
    "400": "The body is no JSON, or a query parameter is not known.",
    "413": "The body is too large.",
    "415": "The body has another media type or charset, or is compressed.",
    "422": "The body breaks a rule; each fault has a JSON pointer.",
}
#: Type of a variable in a path → what it must be: an id, or a subscriber's name.
PATHS: dict[str, dict[str, Any]] = {
    "integer": {"minimum": 1, "maximum": MAX_ID},
    "string": {"pattern": whole(NAME.pattern)},
}
OF_A_PATH = {"404": "The path names nothing that this API key reaches."}
OF_AN_ACT = {"409": "The present state does not allow it; the detail says why."}


class ProblemSchema(AutoSchema):
    """Adds the problems that every call may answer with, and the bounds that the
    framework does not know."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        self._complete_body(operation.get("requestBody", {}))
        for name, schema in COMPONENTS.items():
            self._register(name, schema)
        for status, text in self._problems(operation).items():
            operation["responses"].setdefault(status, self._problem_response(text))
        return operation

    def _complete_body(self, body: dict[str, Any]) -> None:
        if getattr(self.view, "needs_body", False):
            body["required"] = True
        for content in body.get("content", {}).values():
            # Anything at all: generated clients stumble over a schema that says so.
            if content.get("schema") == {}:
                del content["schema"]

    def _problems(self, operation: dict[str, Any]) -> dict[str, str]:
        problems = dict(EVERYWHERE)
        if self.method != "GET":
            problems |= OF_AN_ACT
        if "requestBody" in operation:
            problems |= OF_A_BODY
        if "{" in self.path:
            problems |= OF_A_PATH
        return problems

    def _problem_response(self, description: str) -> dict[str, Any]:
        schema = {"$ref": "#/components/schemas/Problem"}
        return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}

    def _register(self, name: str, schema: dict[str, Any]) -> None:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]  # untyped library
            name=name, type=ResolvedComponent.SCHEMA, schema=schema, object=name
        )
        self.registry.register_on_missing(component)

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        """A `PullBody` is what a client sends: for it, a `PullRequest`."""
        name: str = super().get_serializer_name(serializer, direction)
        return re.sub("Body$", "Request", name) if _is_body(serializer) else name

    def get_paginated_name(self, serializer_name: str) -> str:
        return f"{serializer_name}Page"

    def _map_serializer(self, serializer: Any, *args: Any, **kwargs: Any) -> Any:
        schema = super()._map_serializer(serializer, *args, **kwargs)  # type: ignore[no-untyped-call]  # untyped library
        if _is_body(serializer):
            schema |= {"additionalProperties": False, **serializer.together}
        return schema

    def _insert_field_validators(self, field: Any, schema: dict[str, Any]) -> None:
        super()._insert_field_validators(field, schema)  # type: ignore[no-untyped-call]  # untyped library
        if isinstance(field, Plain):
            schema.update(field.keywords())

    def _resolve_path_parameters(self, variables: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]]
        parameters = super()._resolve_path_parameters(variables)  # type: ignore[no-untyped-call]  # untyped library
        for parameter in parameters:
            bounds = PATHS.get(parameter["schema"]["type"], {})
            parameter["schema"] = {**parameter["schema"], **bounds}
        return parameters


def _is_body(serializer: Any) -> bool:
    kind = serializer if isinstance(serializer, type) else type(serializer)
    return issubclass(kind, Body)


def add_server(result: dict[str, Any], request: Any, **_: Any) -> dict[str, Any]:
    """Name the host that was asked for the description: a hook of drf-spectacular."""
    root = get_script_prefix()
    url = request.build_absolute_uri(root) if request else root
    return {**result, "servers": [{"url": url.rstrip("/") or "/"}]}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers by being made
    target_class = "router.api.auth.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "`manage.py create_api_key NAME --scopes …`",
        }

    def get_security_requirement(self, auto_schema: AutoSchema) -> dict[str, list[str]]:
        """OpenAPI 3.1 lets a scheme other than OAuth name the roles that are needed."""
        permissions = auto_schema.view.get_permissions()
        needed = [
            str(permission.scope)
            for permission in permissions
            if isinstance(permission, HasScope)
        ]
        return {self.name: needed}
