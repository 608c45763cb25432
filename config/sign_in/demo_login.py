"""The logins of the demo, which everybody knows: refused outside debug."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import transaction
from django.http import HttpRequest

PASSWORD = "fanfare"  # nosec B105  # shown on the sign-in page; debug only
#: Marks an account as one of the demo's, whatever its name.
MAIL_DOMAIN = "@demo.invalid"
#: User name → the group whose rights it has; None for all rights.
LOGINS = {"demo": None, "operator": "Operators", "viewer": "Viewers"}


class DemoRefusingBackend(ModelBackend):
    """Django's own login, which outside debug knows no demo account or password."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if password == PASSWORD and not settings.DEBUG:
            return None
        return super().authenticate(request, username, password, **kwargs)

    def user_can_authenticate(self, user: User | AnonymousUser | None) -> bool:
        is_demo = isinstance(user, User) and user.email.endswith(MAIL_DOMAIN)
        return super().user_can_authenticate(user) and (settings.DEBUG or not is_demo)


def create_demo_logins() -> None:
    """Make the demo's accounts where their names are free."""
    for name, group in LOGINS.items():
        if not User.objects.filter(username=name).exists():
            _create(name, group)


@transaction.atomic
def _create(name: str, group: str | None) -> None:
    user = User.objects.create_user(
        name,
        name + MAIL_DOMAIN,
        PASSWORD,
        is_staff=True,
        is_superuser=group is None,
    )
    user.groups.set(Group.objects.filter(name=group))
