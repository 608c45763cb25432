from __future__ import annotations

from django.urls import path, re_path

from router.api.events import EventsApi
from router.api.nowhere import NowhereApi

urlpatterns = [
    path("events/", EventsApi.as_view(), name="api-events"),
    re_path(r"", NowhereApi.as_view()),
]
