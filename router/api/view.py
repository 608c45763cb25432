"""The base of every call: what it does not know it refuses, before its work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.cache import patch_cache_control
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.views import APIView

from router.api.auth.permissions import HasScope, MayManage
from router.api.http.exceptions import EncodedBody
from router.api.http.query_params import QuerySerializer
from router.api.http.request_body import measure_chunks

READS = ("GET", "HEAD")
#: The encoding that is none (RFC 9110, section 8.4.1).
NONE = ("", "identity")


class View(APIView):
    """A call of the API; its query and the coding of its body are checked first.

    It needs the scope `manage`, unless it names another.
    """

    permission_classes: Sequence[type[HasScope]] = (MayManage,)
    #: Method → the query parameters that it takes; a method that is not named, none.
    queries: Mapping[str, type[QuerySerializer]] = {}
    #: What was asked by the query.
    asked: dict[str, Any]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not hasattr(self, str(request.method).lower()):
            raise MethodNotAllowed(str(request.method))
        coding = request.headers.get("Content-Encoding", "").strip()
        if coding.lower() not in NONE:
            raise EncodedBody(coding)
        measure_chunks(request._request)
        is_read = request.method in READS
        kind = self.queries.get("GET" if is_read else str(request.method))
        has_pages = is_read and getattr(self, "pagination_class", None) is not None
        query = (kind or QuerySerializer)(request.query_params, has_pages=has_pages)
        self.asked = query.checked()

    def finalize_response(
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """An answer is for the key that asked, and may have a secret."""
        response = super().finalize_response(request, response, *args, **kwargs)
        patch_cache_control(response, no_store=True, private=True)
        return response
