"""Every address of the portal; `page` and `act` let nobody in without a cookie."""

from __future__ import annotations

from django.urls import path

from router.portal import acts, pages
from router.portal.gate import act, page
from router.portal.look import theme
from router.portal.opening import open_portal

ONE = "endpoints/<slug:name>/"
DELIVERY = f"{ONE}deliveries/<int:delivery>/"

urlpatterns = [
    path("open/<str:token>/", open_portal, name="portal-open"),
    path("theme.css", theme, name="portal-theme"),
    page("", pages.overview, "portal"),
    act("leave/", acts.leave, "portal-leave"),
    page(ONE, pages.endpoint, "portal-endpoint"),
    act(f"{ONE}address/", acts.save_address, "portal-address"),
    page(f"{ONE}types/", pages.types, "portal-types"),
    act(f"{ONE}types/save/", acts.save_types, "portal-save-types"),
    act(f"{ONE}secret/", acts.secret, "portal-secret"),
    act(f"{ONE}rotate/", acts.rotate, "portal-rotate"),
    act(f"{ONE}test/", acts.test, "portal-test"),
    act(f"{ONE}pause/", acts.hold, "portal-pause"),
    act(f"{ONE}resume/", acts.go_on, "portal-resume"),
    act(f"{ONE}recover/", acts.recover, "portal-recover"),
    act(f"{ONE}keys/", acts.create_key, "portal-keys"),
    act(f"{ONE}keys/<int:key>/revoke/", acts.end_key, "portal-revoke-key"),
    page(f"{ONE}attempts/", pages.attempts, "portal-attempts"),
    page(DELIVERY, pages.delivery, "portal-delivery"),
    act(f"{DELIVERY}resend/", acts.send_again, "portal-resend"),
]
