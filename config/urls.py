from __future__ import annotations

from django.apps import apps
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from config.admin_site.lists import tidy_lists
from config.sign_in import second_factor_pages
from config.sign_in.passwords import change_password

# Not where the apps are made ready: a worker has no pages.
admin.autodiscover()
tidy_lists()

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/second-factor/", second_factor_pages.verify, name="second_factor"),
    path(
        "admin/second-factor/set-up/",
        second_factor_pages.set_up,
        name="second_factor_set_up",
    ),
    # Before the theme's, whose form of it cannot be replaced.
    path("admin/password_change/", admin.site.admin_view(change_password)),
    path("admin/", admin.site.urls),
    path("docs/", include("config.docs_site.urls")),
    path("", include("router.urls")),
    path("", include("subscribers.order_history.urls")),
    path("", include("subscribers.receipts.urls")),
]

if apps.is_installed("shop"):
    urlpatterns.append(path("", include("shop.urls")))
else:
    urlpatterns.append(path("", RedirectView.as_view(url="/admin/")))
