"""The address of a list filters by what the list offers, and never fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse

from router.models import EventRecord
from tests.integration.rows import an_event
from tests.integration.staff import admins

pytestmark = [
    pytest.mark.django_db,
    # What a person types into an address has no zone.
    pytest.mark.filterwarnings("ignore:DateTimeField .* received a naive datetime"),
]
MODELS = sorted(admins(), key=lambda model: model._meta.label)
EACH = pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
LOOKUPS = ("startswith", "regex", "gt", "in", "contains", "nothing")
LARGE = "9" * 30
TIMES = ("2026-02-30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("root"))
    return client


def changelist(model: Any) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")


def hostile(model: Any) -> Iterator[str]:
    """Each field of the model, and of those that it refers to, by lookups."""
    for field in model._meta.get_fields():
        yield from (f"{field.name}__{lookup}" for lookup in LOOKUPS)
        if field.is_relation and field.related_model:
            others = field.related_model._meta.get_fields()
            yield from (f"{field.name}__{other.name}__startswith" for other in others)


def offered(model: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Parameters that the list takes, with values that it can't hold."""
    yield "pk__exact", ("abc", LARGE, "")
    for declared in admin.site.get_model_admin(model).list_filter:
        if not isinstance(declared, str):
            yield declared.parameter_name, ("abc", LARGE, "'")
        elif model._meta.get_field(declared).is_relation:
            yield f"{declared}__id__exact", ("abc", LARGE)
        else:
            is_time = "Date" in type(model._meta.get_field(declared)).__name__
            yield f"{declared}__gte" if is_time else f"{declared}__exact", TIMES
            yield f"{declared}__isnull", ("abc",)


@EACH
def test_no_list_is_filtered_by_what_it_does_not_offer(model: Any) -> None:
    request = RequestFactory().get(changelist(model))
    shown = admin.site.get_model_admin(model)
    for lookup in hostile(model):
        assert not shown.lookup_allowed(lookup, "1", request), lookup


@pytest.mark.long
@EACH
def test_no_value_of_a_filter_fails(root: Client, model: Any) -> None:
    for name, values in offered(model):
        for value in values:
            answer = root.get(changelist(model), {name: value})
            assert answer.status_code in (200, 302, 400), (name, value)


@pytest.mark.long
@EACH
def test_no_place_and_no_choice_fails(root: Client, model: Any) -> None:
    for place in (LARGE, "abc", "%00"):
        assert root.get(f"{changelist(model)}{place}/change/").status_code < 500
    for chosen in (LARGE, "abc"):
        form = {"_selected_action": chosen, "action": "delete_selected", "index": 0}
        assert root.post(changelist(model), form).status_code < 500


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("auth/user/?is_staff__exact=1", 200),
        ("auth/user/?groups__id__exact=1", 200),
        ("shop/product/?category__id__exact=1&is_available__exact=1", 200),
        ("fulfilment/shipment/?state__exact=picking&created_at__gte=2026-11-01", 200),
        ("router/failedtask/?state=open&subscriber=1", 200),
        # A hash could be read letter by letter.
        ("auth/user/?password__startswith=pbkdf2", 400),
        ("auth/user/?password=pbkdf2", 400),
        ("router/apikey/?digest__startswith=a", 400),
        # PostgreSQL fails for it.
        ("router/eventrecord/?position__regex=1", 400),
        ("router/eventrecord/?nothing=1", 400),
        ("router/eventrecord/?_to_field=digest", 400),
        (f"router/eventrecord/?p={LARGE}&o={LARGE}&q={LARGE}", 200),
        ("router/eventrecord/?p=abc&o=abc&all=&_facets=", 200),
    ],
)
def test_a_list_takes_what_it_offers(root: Client, address: str, status: int) -> None:
    assert root.get(f"/admin/{address}").status_code == status


def test_an_event_is_found_by_its_key(root: Client) -> None:
    event = an_event()
    page = root.get(changelist(EventRecord), {"pk__exact": event.pk})
    assert f"/{event.pk}/change/" in page.content.decode()
