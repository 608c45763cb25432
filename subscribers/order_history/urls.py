from __future__ import annotations

from django.urls import URLPattern

app_name = "order_history"

urlpatterns: list[URLPattern] = []
