from __future__ import annotations

from django.urls import include, path

from router.api.health import healthz, readyz
from router.api.metrics import metrics

app_name = "router"

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    path("api/", include("router.api.urls")),
    path("portal/", include("router.portal.urls")),
]
