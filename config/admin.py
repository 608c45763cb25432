"""Users and groups in the admin's theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from django_otp.plugins.otp_static import admin as _otp_static  # noqa: F401
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp import admin as _otp_totp  # noqa: F401
from django_otp.plugins.otp_totp.models import TOTPDevice
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
# They show each account's secret to others; `reset_second_factor` is the way to help.
admin.site.unregister(StaticDevice)
admin.site.unregister(TOTPDevice)


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
