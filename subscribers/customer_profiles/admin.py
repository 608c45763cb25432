from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from subscribers.customer_profiles.models import CustomerProfile
from subscribers.money import formatted
from subscribers.read_only import FactAdmin


@admin.register(CustomerProfile)
class CustomerProfileAdmin(FactAdmin):
    list_display = [
        "person", "email", "source", "purchases_count", "total", "last_seen_at",
    ]  # fmt: skip
    list_filter = ["last_seen_at"]
    search_fields = ["customer_id__exact", "email__iexact", "name__istartswith"]
    fields = [
        "source", "customer_id", "name", "email", "purchases_count", "total",
        "first_seen_at", "last_seen_at",
    ]  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[CustomerProfile]:
        return CustomerProfile.objects.prefetch_related("totals")

    @display(description=_("customer"), ordering="name")
    def person(self, profile: CustomerProfile) -> str:
        return str(profile)

    @display(description=_("total"))
    def total(self, profile: CustomerProfile) -> str:
        return " + ".join(
            formatted(total.total_minor, total.currency)
            for total in profile.totals.all()
        )
