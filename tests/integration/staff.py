"""People who look at the admin, each logged in with a browser of their own."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client

from router.groups import MANAGERS, OPERATORS, VIEWERS


def a_person(name: str, group: str = "") -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set(Group.objects.filter(name=group))
    client = Client()
    client.force_login(user)
    return client


def admins() -> dict[Any, admin.ModelAdmin[Any]]:
    """The models of the admin, each with its pages."""
    models = filter(admin.site.is_registered, apps.get_models())
    return {model: admin.site.get_model_admin(model) for model in models}


def a_manager(name: str = "max") -> Client:
    return a_person(name, MANAGERS)


def an_operator(name: str = "olga") -> Client:
    return a_person(name, OPERATORS)


def a_viewer(name: str = "vera") -> Client:
    return a_person(name, VIEWERS)


def messages_of(response: object) -> str:
    """The messages that the last page showed."""
    context = getattr(response, "context", None) or {}
    return " ".join(str(message) for message in context.get("messages", ()))
