"""The router's part of the admin's side bar."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from router.observe.overview import open_failed_count

MODELS = (
    ("Subscribers", "groups", "subscriber"),
    ("Events", "receipt_long", "eventrecord"),
    ("Deliveries", "local_shipping", "delivery"),
    ("Failed tasks", "report", "failedtask"),
    ("Failed by cause", "stacks", "failedtaskgroup"),
    ("Runs", "fast_rewind", "run"),
    ("Ingress failed tasks", "move_to_inbox", "ingressfailedtask"),
    ("Schemas", "schema", "eventschema"),
    ("API keys", "key", "apikey"),
    ("Audit", "history", "auditentry"),
)


def router_group(request: HttpRequest) -> dict[str, Any]:
    """Dashboard and the router's lists, as far as this person may look."""
    shown = [
        {
            "title": title,
            "icon": icon,
            "link": reverse(f"admin:router_{model}_changelist"),
        }
        for title, icon, model in MODELS
        if request.user.has_perm(f"router.view_{model}")
    ]
    for item in shown:
        if item["title"] == "Failed tasks" and (count := open_failed_count()):
            item["badge"] = f"{count:,}"
    home = {"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")}
    return {"title": "Router", "items": [home, *shown]}
