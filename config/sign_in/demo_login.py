"""The logins of the demo, which everybody knows: refused outside debug."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import transaction
from django.http import HttpRequest

PASSWORD = "fanfare"  # nosec B105  # shown on the sign-in page; debug only
#: Marks an account as one of the demo's, whatever its name.
MAIL_DOMAIN = "@demo.invalid"
#: User name → the group whose rights it has; None for all rights.
LOGINS = {
    "demo": None,
    "manager": "Managers",
    "operator": "Operators",
    "viewer": "Viewers",
}


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
    taken = User.objects.filter(username__in=LOGINS)
    free = LOGINS.keys() - taken.values_list("username", flat=True)
    # One for all: a strong hash takes a quarter of a second.
    password = make_password(PASSWORD) if free else ""
    for name in sorted(free):
        _create(name, LOGINS[name], password)


@transaction.atomic
def _create(name: str, group: str | None, password: str) -> None:
    user = User.objects.create(
        username=name,
        email=name + MAIL_DOMAIN,
        password=password,
        is_staff=True,
        is_superuser=group is None,
    )
    user.groups.set(Group.objects.filter(name=group))
