"""Users and groups in the admin's theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

    ThemedAdmin = ModelAdmin[Any]
    ThemedUserAdmin = PlainUserAdmin[User]
else:
    from unfold.admin import ModelAdmin as ThemedAdmin

    ThemedUserAdmin = PlainUserAdmin

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(ThemedUserAdmin, ThemedAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    # The two-column chooser breaks accessibility rules and the narrow layout.
    filter_horizontal = ()


@admin.register(Group)
class GroupAdmin(PlainGroupAdmin, ThemedAdmin):
    filter_horizontal = ()
