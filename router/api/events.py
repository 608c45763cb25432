from __future__ import annotations

from http import HTTPStatus

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from router.api.binding import refuse_unbound
from router.api.cloudevents import StructuredParser, publish_arguments
from router.api.finding import key_of
from router.api.permissions import MayPublish
from router.api.problems import LengthMissing
from router.public import publish


class EventsApi(APIView):
    """Publish an event."""

    parser_classes = (StructuredParser,)
    permission_classes = (MayPublish,)

    def post(self, request: Request) -> Response:
        """202 for a new event, 200 for one that is recorded already."""
        if not request.META.get("CONTENT_LENGTH"):
            raise LengthMissing("Send the body with a Content-Length, not chunked.")
        arguments = publish_arguments(request.data)
        refuse_unbound(key_of(request), arguments)
        published = publish(**arguments)
        status = HTTPStatus.ACCEPTED if published.is_new else HTTPStatus.OK
        body = {
            "number": published.number,
            "id": published.event.id,
            "source": published.event.source,
            "status": int(status),
        }
        return Response(body, status=status)
