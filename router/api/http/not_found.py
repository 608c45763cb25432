from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView

from router.api.http.exceptions import CALLS


class NowhereApi(APIView):
    """Answers 404 as a problem for every path that the API does not have."""

    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        hint = "" if request.path.endswith("/") else " Paths end in a slash."
        raise NotFound(f"The API has nothing at {request.path}.{hint} {CALLS}")
