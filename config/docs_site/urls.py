from __future__ import annotations

from django.urls import path

from config.docs_site import views

app_name = "docs"

urlpatterns = [
    path("", views.show_contents, name="contents"),
    path("files/<path:file>", views.show_file, name="file"),
    path("<slug:page>/", views.show_page, name="page"),
]
