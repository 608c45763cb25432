"""How a customer's profile is erased; how often and for how much it bought stays."""

from __future__ import annotations

from django.db.models import Q

from router.public import Customer, eraser
from subscribers.customer_profiles.models import CustomerProfile


@eraser
def erase(customer: Customer, *, is_dry_run: bool) -> dict[str, int]:
    """Empty the name and the mail address of the customer's profiles."""
    is_theirs = Q(customer_id__in=customer.ids) | Q(email__iexact=customer.email)
    profiles = CustomerProfile.objects.filter(is_theirs).exclude(name="", email="")
    if is_dry_run:
        return {"profiles": profiles.count()}
    return {"profiles": profiles.update(name="", email="")}
