from __future__ import annotations

from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from router.models import ApiKey, Scope


class HasScope(BasePermission):
    """The key carries the scope that the call needs."""

    scope: Scope

    @property
    def message(self) -> str:
        return (
            f"This API key lacks the scope `{self.scope}`; use a key that has it. An "
            f"operator creates one: `create_api_key NAME --scopes {self.scope}`."
        )

    def has_permission(self, request: Request, view: APIView) -> bool:
        return isinstance(request.auth, ApiKey) and self.scope in request.auth.scopes


class MayPublish(HasScope):
    scope = Scope.PUBLISH


class MayConsume(HasScope):
    scope = Scope.CONSUME


class MayManage(HasScope):
    scope = Scope.MANAGE


class MayReconcile(HasScope):
    """The scope `consume`; `manage` includes it."""

    scope = Scope.CONSUME

    def has_permission(self, request: Request, view: APIView) -> bool:
        key = request.auth
        if isinstance(key, ApiKey) and Scope.MANAGE in key.scopes:
            return True
        return super().has_permission(request, view)


class MayDescribe(HasScope):
    """The scope `schemas`; `manage` includes it while the key is bound to nothing."""

    scope = Scope.SCHEMAS

    def has_permission(self, request: Request, view: APIView) -> bool:
        key = request.auth
        if isinstance(key, ApiKey) and Scope.MANAGE in key.scopes and not key.is_bound:
            return True
        return super().has_permission(request, view)
