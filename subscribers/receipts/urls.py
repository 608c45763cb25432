from __future__ import annotations

from django.urls import URLPattern

app_name = "receipts"

urlpatterns: list[URLPattern] = []
