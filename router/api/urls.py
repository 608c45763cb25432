from __future__ import annotations

from django.urls import path, re_path

from router.api.events import EventsApi
from router.api.nowhere import NowhereApi
from router.api.pulling import AckApi, ExtendApi, NackApi, PullApi, ReleaseApi

urlpatterns = [
    path("events/", EventsApi.as_view(), name="api-events"),
    path("subscribers/<slug:name>/pull/", PullApi.as_view(), name="api-pull"),
    path("deliveries/ack/", AckApi.as_view(), name="api-ack"),
    path("deliveries/nack/", NackApi.as_view(), name="api-nack"),
    path("deliveries/release/", ReleaseApi.as_view(), name="api-release"),
    path("deliveries/extend/", ExtendApi.as_view(), name="api-extend"),
    re_path(r"", NowhereApi.as_view()),
]
