"""`/api/events/`: publish with POST, read the log with GET."""

from __future__ import annotations

from collections.abc import Sequence

from rest_framework.permissions import BasePermission, IsAuthenticated

from router.api.auth.permissions import MayManage, MayPublish
from router.api.events.log import EventLogApi
from router.api.events.publish import PublishApi

#: Any other method is answered with those that there are.
NEEDED: dict[str, type[BasePermission]] = {
    "POST": MayPublish,
    "GET": MayManage,
    "HEAD": MayManage,
}


class EventsApi(PublishApi, EventLogApi):
    def get_permissions(self) -> Sequence[BasePermission]:
        return [NEEDED.get(str(self.request.method), IsAuthenticated)()]
