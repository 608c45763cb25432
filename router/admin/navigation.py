"""The router's part of the admin's side bar."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from router.observe.overview import open_failed_count
from router.observe.wording import grouped

MODELS = (
    (_("Subscribers"), "groups", "subscriber"),
    (_("Events"), "receipt_long", "eventrecord"),
    (_("Deliveries"), "local_shipping", "delivery"),
    (_("Failed tasks"), "report", "failedtask"),
    (_("Failed by cause"), "stacks", "failedtaskgroup"),
    (_("Runs"), "fast_rewind", "run"),
    (_("Ingress failed tasks"), "move_to_inbox", "ingressfailedtask"),
    (_("Schemas"), "schema", "eventschema"),
    (_("API keys"), "key", "apikey"),
    (_("Audit"), "history", "auditentry"),
)


def router_group(request: HttpRequest) -> dict[str, Any]:
    """Dashboard and the router's lists, as far as this person may look."""
    shown: list[dict[str, Any]] = [
        {
            "title": title,
            "icon": icon,
            "link": reverse(f"admin:router_{model}_changelist"),
            **_badge(model),
        }
        for title, icon, model in MODELS
        if request.user.has_perm(f"router.view_{model}")
    ]
    link = reverse("admin:index")
    home = {"title": _("Dashboard"), "icon": "dashboard", "link": link}
    return {"title": _("Router"), "items": [home, *shown]}


def _badge(model: str) -> dict[str, str]:
    """How many failed tasks are open, beside their list."""
    count = open_failed_count() if model == "failedtask" else 0
    return {"badge": grouped(count)} if count else {}
