"""The admin's side bar: the router, then every other app that this person may see."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from router.admin.navigation import router_group

ICONS = {
    "Category": "category",
    "Customer": "person",
    "CustomerProfile": "person",
    "Group": "shield_person",
    "Order": "shopping_bag",
    "Payment": "credit_card",
    "Product": "music_note",
    "Shipment": "package_2",
    "User": "account_circle",
}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    others = [
        app for app in admin.site.get_app_list(request) if app["app_label"] != "router"
    ]
    return [router_group(request), *map(_group, others)]


def _group(app: dict[str, Any]) -> dict[str, Any]:
    shown = [
        {
            "title": str(model["name"]),
            "icon": ICONS.get(model["object_name"], "table_rows"),
            "link": model["admin_url"],
        }
        for model in app["models"]
        if model["admin_url"]
    ]
    return {"title": str(app["name"]), "separator": True, "items": shown}
