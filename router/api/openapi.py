"""The API's description: OpenAPI 3.1, made from its views."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent

from router.api.permissions import HasScope
from router.api.problems import MEDIA_TYPE

PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "Always `about:blank`."},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer", "description": "The status once more."},
        "detail": {
            "type": "string",
            "description": "What happened, and how to mend it.",
        },
        "errors": {
            "type": "array",
            "description": "Where the body breaks a rule.",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {
                        "type": "string",
                        "description": "JSON pointer into the body (RFC 6901).",
                    },
                    "detail": {"type": "string"},
                },
            },
        },
    },
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
OF_A_PATH = {"404": "There is no such thing."}
OF_AN_ACT = {"409": "The present state does not allow it; the detail says why."}


class ProblemSchema(AutoSchema):
    """Adds the problems that every call may answer with."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        for status, told in self._problems(operation).items():
            operation["responses"].setdefault(status, self._problem_response(told))
        return operation

    def _problems(self, operation: dict[str, Any]) -> dict[str, str]:
        found = dict(EVERYWHERE)
        if self.method != "GET":
            found |= OF_AN_ACT
        if "requestBody" in operation:
            found |= OF_A_BODY
        if "{" in self.path:
            found |= OF_A_PATH
        return found

    def _problem_response(self, told: str) -> dict[str, Any]:
        component = ResolvedComponent(  # type: ignore[no-untyped-call]  # untyped library
            name="Problem",
            type=ResolvedComponent.SCHEMA,
            schema=PROBLEM,
            object="Problem",
        )
        self.registry.register_on_missing(component)
        return {"description": told, "content": {MEDIA_TYPE: {"schema": component.ref}}}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers by being made
    target_class = "router.api.authentication.ApiKeyAuthentication"
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
        needed = [str(one.scope) for one in permissions if isinstance(one, HasScope)]
        return {self.name: needed}
