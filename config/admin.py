"""Users and groups in the admin's theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django_otp.plugins.otp_static import admin as _otp_static  # noqa: F401
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp import admin as _otp_totp  # noqa: F401
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from config.admin_site.auditing import AuditedAdmin

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
class UserAdmin(AuditedAdmin, ThemedUserAdmin, ThemedAdmin):
    audited_as = "account"
    audited_fields = (
        "username",
        "is_active",
        "is_staff",
        "is_superuser",
        "groups",
        "user_permissions",
    )
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    # The two-column chooser breaks accessibility rules and the narrow layout.
    filter_horizontal = ()

    @transaction.atomic
    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        return super().user_change_password(request, id, form_url)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if request.path.endswith("/password/"):
            self.note(request, "password_changed", obj)
        return super().log_change(request, obj, message)


@admin.register(Group)
class GroupAdmin(AuditedAdmin, PlainGroupAdmin, ThemedAdmin):
    audited_as = "group"
    audited_fields = ("name", "permissions")
    filter_horizontal = ()
