"""Customer profiles: who buys, how often, for how much, and when last."""

from __future__ import annotations

from django.db.models import F

from router.public import Event, subscriber
from subscribers.customer_profiles.models import (
    CountedPurchase,
    CustomerProfile,
    ProfileTotal,
)
from subscribers.payload import Currency, Identifier, Minor, Moment, Part, read


class Customer(Part):
    id: Identifier
    name: str = ""
    email: str = ""


class Order(Part):
    placed_at: Moment
    currency: Currency


class Totals(Part):
    total_minor: Minor


class Purchase(Part):
    order: Order
    customer: Customer
    totals: Totals


@subscriber(
    "customer_profiles",
    events=["purchase.completed"],
    title="Customer profile",
    is_idempotent=True,
)
def keep_profile(event: Event) -> None:
    """Count the purchase in its customer's profile, once, however late it comes."""
    purchase = read(Purchase, event)
    _, is_new = CountedPurchase.objects.get_or_create(
        source=event.source, event_id=event.id
    )
    if is_new:
        profile = _profile_of(event.source, purchase)
        _count(purchase, profile)
        _add_to_total(purchase, profile)


def _profile_of(source: str, purchase: Purchase) -> CustomerProfile:
    placed_at = purchase.order.placed_at
    profile, _ = CustomerProfile.objects.select_for_update().get_or_create(
        source=source,
        customer_id=purchase.customer.id,
        defaults={"first_seen_at": placed_at, "last_seen_at": placed_at},
    )
    return profile


def _count(purchase: Purchase, profile: CustomerProfile) -> None:
    placed_at = purchase.order.placed_at
    profile.purchases_count += 1
    profile.first_seen_at = min(profile.first_seen_at, placed_at)
    if placed_at >= profile.last_seen_at:
        profile.last_seen_at = placed_at
        profile.name = purchase.customer.name
        profile.email = purchase.customer.email
    profile.save()


def _add_to_total(purchase: Purchase, profile: CustomerProfile) -> None:
    ProfileTotal.objects.get_or_create(
        profile=profile, currency=purchase.order.currency
    )
    ProfileTotal.objects.filter(
        profile=profile, currency=purchase.order.currency
    ).update(total_minor=F("total_minor") + purchase.totals.total_minor)
