"""Which person may open which page and send which form: the whole table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import models, transaction
from django.template import Origin
from django.template.loaders.base import Loader
from django.test import Client, RequestFactory
from django.urls import URLResolver, get_resolver
from django.utils import timezone

from router.flow.cursor.runs import open_run
from router.groups import MANAGERS, OPERATORS, VIEWERS
from router.models import AuditEntry, Run
from router.portal import urls as portal
from subscribers.order_history.roles import SALES
from tests.integration.rows import (
    a_delivery,
    a_failed_task,
    a_subscriber,
    an_event,
)
from tests.integration.shopping import a_product, check_out, put_in_basket
from tests.integration.staff import admins

pytestmark = pytest.mark.usefixtures("empty_router")

#: Role → the groups of an account.
ROLES = {
    "staff": [],
    "viewer": [VIEWERS],
    "operator": [OPERATORS],
    "manager": [MANAGERS],
    "sales": [SALES],
    "superuser": [],
}
SUPERUSER = frozenset({"superuser"})
MANAGER = SUPERUSER | {"manager"}
OPERATOR = MANAGER | {"operator"}
VIEWER = OPERATOR | {"viewer"}
SELLER = SUPERUSER | {"sales"}
STAFF = VIEWER | SELLER | {"staff"}
EVERYBODY = STAFF | {"anonymous", "customer"}
NOBODY: frozenset[str] = frozenset()
Who = frozenset[str]
#: None: a POST is a read, or one of the actions below.
Row = tuple[Who, Who | None]

#: Model in the admin → who may see, add, change and delete its rows there.
MODELS: dict[str, tuple[Who, Who, Who, Who]] = {
    "auth/user": (SUPERUSER, SUPERUSER, SUPERUSER, SUPERUSER),
    "auth/group": (SUPERUSER, SUPERUSER, SUPERUSER, SUPERUSER),
    "shop/category": (SUPERUSER, SUPERUSER, SUPERUSER, SUPERUSER),
    "shop/product": (SUPERUSER, SUPERUSER, SUPERUSER, SUPERUSER),
    "shop/order": (SUPERUSER, NOBODY, NOBODY, NOBODY),
    "router/apikey": (VIEWER, MANAGER, NOBODY, NOBODY),
    "router/auditentry": (VIEWER, NOBODY, NOBODY, NOBODY),
    "router/delivery": (VIEWER, NOBODY, NOBODY, NOBODY),
    "router/eventrecord": (VIEWER, NOBODY, NOBODY, NOBODY),
    "router/eventschema": (VIEWER, MANAGER, NOBODY, NOBODY),
    "router/failedtask": (VIEWER, NOBODY, NOBODY, NOBODY),
    "router/failedtaskgroup": (VIEWER, NOBODY, NOBODY, NOBODY),
    "router/ingressfailedtask": (VIEWER, NOBODY, NOBODY, NOBODY),
    "router/run": (VIEWER, NOBODY, NOBODY, NOBODY),
    "router/subscriber": (VIEWER, MANAGER, NOBODY, NOBODY),
    "inventory/stocklevel": (SUPERUSER, NOBODY, NOBODY, NOBODY),
    "inventory/stockmovement": (SUPERUSER, SUPERUSER, NOBODY, NOBODY),
    "fulfilment/shipment": (SUPERUSER, NOBODY, SUPERUSER, NOBODY),
    "order_history/purchaserecord": (SELLER, NOBODY, NOBODY, NOBODY),
    "order_history/dispatchrecord": (SUPERUSER, NOBODY, NOBODY, NOBODY),
    "customer_profiles/customerprofile": (SUPERUSER, NOBODY, NOBODY, NOBODY),
}
#: Address → who gets an answer to a GET, and to a POST.
PAGES: dict[str, Row] = {
    # A link opens it, and no account: tests/integration/test_portal_hostile.py.
    **{f"portal/{each.pattern}": (NOBODY, NOBODY) for each in portal.urlpatterns},
    "portal/theme.css": (EVERYBODY, NOBODY),
    "admin/": (STAFF, STAFF),
    "admin/search/": (STAFF, STAFF),
    "admin/login/": (EVERYBODY, EVERYBODY),
    "admin/logout/": (EVERYBODY - STAFF, EVERYBODY),
    "admin/password_change/": (STAFF, STAFF),
    "admin/password_change/done/": (STAFF, None),
    # No list of the router is searched by it.
    "admin/autocomplete/": (NOBODY, None),
    "admin/jsi18n/": (STAFF, NOBODY),
    "admin/r/<path:content_type_id>/<path:object_id>/": (NOBODY, NOBODY),
    # While the setting is off nobody is asked for a code.
    "admin/second-factor/": (NOBODY, NOBODY),
    "admin/second-factor/set-up/": (NOBODY, NOBODY),
    "admin/auth/user/<id>/password/": (SUPERUSER, SUPERUSER),
    "admin/router/apikey/<int:pk>/revoke/": (NOBODY, MANAGER),
    "admin/router/auditentry/<int:pk>/object/": (VIEWER, NOBODY),
    "admin/router/auditentry/<int:pk>/note/": (NOBODY, OPERATOR),
    "admin/router/delivery/<int:pk>/resend/": (NOBODY, OPERATOR),
    "admin/router/delivery/<int:pk>/skip/": (NOBODY, OPERATOR),
    "admin/router/eventrecord/find/": (VIEWER, VIEWER),
    "admin/router/eventrecord/<int:pk>/explain/": (VIEWER, NOBODY),
    "admin/router/eventrecord/<int:pk>/story/": (VIEWER, NOBODY),
    "admin/router/eventrecord/<int:pk>/resend/": (NOBODY, OPERATOR),
    "admin/router/eventschema/<int:pk>/retire/": (NOBODY, MANAGER),
    "admin/router/failedtask/": (VIEWER, OPERATOR),
    "admin/router/failedtask/settle/": (NOBODY, OPERATOR),
    "admin/router/failedtask/<int:pk>/edit/": (OPERATOR, OPERATOR),
    "admin/router/failedtask/export/csv/": (VIEWER, NOBODY),
    "admin/router/failedtask/export/json/": (VIEWER, NOBODY),
    "admin/router/failedtask/<int:pk>/notes/": (NOBODY, OPERATOR),
    "admin/router/failedtaskgroup/<int:pk>/notes/": (NOBODY, OPERATOR),
    "admin/router/failedtask/<int:pk>/redirect/": (NOBODY, OPERATOR),
    "admin/router/failedtask/<int:pk>/restore/": (NOBODY, OPERATOR),
    "admin/router/failedtaskgroup/retry-since/": (NOBODY, OPERATOR),
    "admin/router/failedtaskgroup/cancel/<int:retry>/": (NOBODY, OPERATOR),
    "admin/router/failedtaskgroup/<int:pk>/retry/": (NOBODY, OPERATOR),
    "admin/router/failedtaskgroup/<int:pk>/discard/": (NOBODY, OPERATOR),
    "admin/router/ingressfailedtask/": (VIEWER, OPERATOR),
    "admin/router/ingressfailedtask/discard/": (NOBODY, OPERATOR),
    "admin/router/ingressfailedtask/<int:pk>/publish/": (NOBODY, OPERATOR),
    "admin/router/ingressfailedtask/<int:pk>/discard/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/attempts/": (VIEWER, NOBODY),
    "admin/router/subscriber/<int:pk>/edit/": (MANAGER, MANAGER),
    "admin/router/subscriber/<int:pk>/rotate/": (NOBODY, MANAGER),
    "admin/router/subscriber/<int:pk>/remove/": (MANAGER, MANAGER),
    "admin/router/subscriber/<int:pk>/portal-link/": (NOBODY, MANAGER),
    "admin/router/subscriber/<int:pk>/revoke-portal-link/": (NOBODY, MANAGER),
    "admin/router/subscriber/<int:pk>/pause/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/resume/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/test/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/try-now/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/close-breaker/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/schedule/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/pace/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/alerts/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/test-alert/": (NOBODY, OPERATOR),
    "admin/router/subscriber/<int:pk>/load-history/": (OPERATOR, OPERATOR),
    "admin/router/subscriber/<int:pk>/replay/": (OPERATOR, OPERATOR),
    "admin/router/run/<int:pk>/pause/": (NOBODY, OPERATOR),
    "admin/router/run/<int:pk>/resume/": (NOBODY, OPERATOR),
    "admin/router/run/<int:pk>/rate/": (NOBODY, OPERATOR),
    "admin/router/run/<int:pk>/cancel/": (NOBODY, OPERATOR),
    "admin/inventory/stocklevel/receive/": (SUPERUSER, SUPERUSER),
    "admin/inventory/stocklevel/<path:object_id>/receive/": (SUPERUSER, SUPERUSER),
    "admin/fulfilment/shipment/pick-lists/": (SUPERUSER, SUPERUSER),
    "admin/fulfilment/shipment/<path:object_id>/pick-list/": (SUPERUSER, SUPERUSER),
    "healthz": (EVERYBODY, NOBODY),
    "readyz": (EVERYBODY, NOBODY),
    # It asks for the token of a setting, and is closed without.
    "metrics": (NOBODY, NOBODY),
    "docs/": (EVERYBODY, NOBODY),
    "docs/<slug:page>/": (EVERYBODY, NOBODY),
    "docs/files/<path:file>": (EVERYBODY, NOBODY),
    "sales/": (SELLER, NOBODY),
    "sales/by-day.csv": (SELLER, NOBODY),
    "sales/by-product.csv": (SELLER, NOBODY),
    # The demo's mails are read in debug alone.
    "mail/": (NOBODY, NOBODY),
    "mail/<str:name>/": (NOBODY, NOBODY),
    "mail/<str:name>/html/": (NOBODY, NOBODY),
    # An order's id is what opens it: it can't be guessed.
    "orders/<slug:public_id>/": (EVERYBODY, NOBODY),
    "orders/<slug:public_id>/progress/": (EVERYBODY, NOBODY),
    # A link's token, and the session that it opens; a checkout is its session's own.
    "account/orders/": (EVERYBODY, NOBODY),
    "account/orders/leave/": (NOBODY, EVERYBODY),
    "account/orders/<str:token>/": (NOBODY, NOBODY),
    "checkout/<uuid:key>/": (NOBODY, NOBODY),
    "": (EVERYBODY, NOBODY),
    "products/<slug:slug>/": (EVERYBODY, EVERYBODY),
    "basket/": (EVERYBODY, EVERYBODY),
    "checkout/": (EVERYBODY, EVERYBODY),
}
#: What an address answers to nobody without.
QUERIES = {
    "admin/fulfilment/shipment/pick-lists/": "?ids={pk}",
    "admin/autocomplete/": "?app_label=router&model_name=failedtask"
    "&field_name=subscriber&term=",
}
#: Action of a list in the admin → who may run it.
ACTIONS = {
    "auth/user delete_selected": SUPERUSER,
    "auth/group delete_selected": SUPERUSER,
    "shop/category delete_selected": SUPERUSER,
    "shop/product delete_selected": SUPERUSER,
    "router/failedtask retry_selected": OPERATOR,
    "router/failedtask discard_selected": OPERATOR,
    "router/ingressfailedtask discard_selected": OPERATOR,
    "fulfilment/shipment print_pick_lists": SUPERUSER,
    "fulfilment/shipment mark_packed": SUPERUSER,
    "fulfilment/shipment mark_shipped": SUPERUSER,
}


def table() -> dict[str, Row]:
    return dict(_pages_of_models()) | PAGES


def _pages_of_models() -> Iterator[tuple[str, Row]]:
    for model, (see, add, change, delete) in MODELS.items():
        yield f"admin/{model}/", (see, None)
        yield f"admin/{model}/add/", (add, add)
        # It redirects to the page of changes, which asks again.
        yield f"admin/{model}/<path:object_id>/", (STAFF, None)
        yield f"admin/{model}/<path:object_id>/history/", (see, None)
        yield f"admin/{model}/<path:object_id>/change/", (see, change)
        yield f"admin/{model}/<path:object_id>/delete/", (delete, delete)


def addresses(patterns: Any = None, prefix: str = "") -> Iterator[str]:
    """Every address that the resolver leads to, but those of the API."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        whole = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, whole)
        elif not (whole.startswith("api/") or "(?P<" in whole):
            # Without the admin's two regular expressions: each app's index, and what
            # is not there.
            yield whole


def test_every_address_has_a_row() -> None:
    assert set(addresses()) == set(table())


@pytest.fixture
def sign_in(db: None) -> Callable[[str], Client]:
    """A browser in which a person of this role is logged in."""
    browsers = {"anonymous": Client()}
    for role in EVERYBODY - {"anonymous"}:
        user = User.objects.create_user(
            role, is_staff=role in STAFF, is_superuser=role == "superuser"
        )
        user.groups.set(Group.objects.filter(name__in=ROLES.get(role, [])))
        browsers[role] = Client()
        browsers[role].force_login(user)

    def fresh(role: str) -> Client:
        client = Client(raise_request_exception=False)
        # A handler of its own would load every middleware anew.
        client.handler = browsers["anonymous"].handler
        client.cookies.update(browsers[role].cookies)
        return client

    return fresh


def a_row(model: Any) -> Any:
    """A row of any model, with something in each field that needs it."""
    row = model._default_manager.first()
    if row is not None:
        return row
    fields = model._meta.concrete_fields
    needed = [
        field
        for field in fields
        if not (field.has_default() or field.null or field.blank or field.primary_key)
    ]
    return model._default_manager.create(**{each.name: _value(each) for each in needed})


def _value(field: Any) -> Any:
    match field:
        case models.ForeignKey() | models.OneToOneField():
            return a_row(field.related_model)
        case models.DateTimeField():
            return timezone.now()
        case models.DateField():
            return date(2026, 1, 31)
        case models.IntegerField():
            return 1
        case models.JSONField():
            return {}
        case models.BinaryField():
            return b"x"
    return "x"


SECTIONS = sorted({address.partition("/")[0] for address in table()} - {"admin"}) + [
    *(f"admin/{app}" for app in sorted({name.split("/")[0] for name in MODELS})),
    "admin",
]


class EmptyPages(Loader):
    """Each template without its text: to draw a page takes long, to decide does not."""

    def get_template_sources(self, template_name: str) -> Iterator[Origin]:
        yield Origin(template_name, template_name, self)

    def get_contents(self, origin: Origin) -> str:
        return ""


@pytest.fixture
def empty_pages(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin.site, "each_context", lambda request: {})
    (engine,) = settings.TEMPLATES
    options = {**engine["OPTIONS"], "loaders": [f"{__name__}.EmptyPages"]}
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": options}]


@pytest.mark.long
@pytest.mark.parametrize("section", SECTIONS)
def test_each_person_opens_what_the_table_says(
    sign_in: Callable[[str], Client], section: str, request: pytest.FixtureRequest
) -> None:
    if section.startswith("admin"):
        request.getfixturevalue("empty_pages")
    shopper = Client()
    put_in_basket(shopper, a_product())
    check_out(shopper)
    crm = a_subscriber("crm", transport="webhook", url="https://crm.example/")
    waiting = a_delivery(an_event(), crm)
    a_failed_task(a_delivery(an_event(), crm, "DEAD"))
    rows = {model._meta.label_lower: a_row(model) for model in admins()}
    # One that was made by its columns alone has no cursor.
    Run.objects.all().delete()
    run = open_run(crm, start=0, end=1, kind="replay", requested_by="test")
    rows |= {"router.delivery": waiting, "router.run": run}
    rows |= {"pace": a_subscriber("mail")}
    AuditEntry.objects.update(target="subscriber mail")
    expected, actual = {}, {}
    for address, allowed in table().items():
        if section != max((s for s in SECTIONS if _is_in(address, s)), key=len):
            continue
        for method, who in zip(("GET", "POST"), allowed, strict=True):
            if who is None:
                continue
            expected[method, address] = set(who)
            actual[method, address] = {
                role
                for role in EVERYBODY
                if _is_answered(sign_in(role), method, _path(address, rows))
            }

    assert actual == expected


def _is_in(address: str, section: str) -> bool:
    return address == section or address.startswith(f"{section}/")


def _path(address: str, rows: dict[str, Any]) -> str:
    named = {"slug": rows["shop.product"].slug, "id": rows["auth.user"].pk}
    named["public_id"] = rows["shop.order"].public_id
    named["key"] = "00000000-0000-4000-8000-000000000000"
    named |= {"page": "publish", "file": "docs/pictures/house.svg"}
    model = re.match(r"admin/(\w+)/(\w+)/", address)
    row = rows.get(f"{model[1]}.{model[2]}") if model else None
    if address.endswith("/pace/"):
        row = rows["pace"]  # For handlers alone.
    pk = row.pk if row else 1
    query = QUERIES.get(address, "").format(pk=pk)
    path = re.sub(
        r"<(?:\w+:)?(\w+)>", lambda match: str(named.get(match[1], pk)), address
    )
    return f"/{path}{query}"


def _is_answered(client: Client, method: str, path: str) -> bool:
    """Neither refused nor sent to the login; nothing of it stays."""
    with transaction.atomic():
        answer = client.generic(method, path, secure=True)
        transaction.set_rollback(True)
    if answer.status_code == 302:
        return not answer.headers["Location"].startswith("/admin/login/")
    assert answer.status_code < 500 or path == "/readyz", (method, path)
    return answer.status_code not in (401, 403, 404, 405)


def test_each_person_is_offered_the_actions_of_the_table(
    sign_in: Callable[[str], Client],
) -> None:
    offered: dict[str, set[str]] = {}
    for role in STAFF:
        request = RequestFactory().get("/")
        request.user = User.objects.get(username=role)
        for model, model_admin in admins().items():
            for action in model_admin.get_actions(request):
                name = f"{model._meta.label_lower.replace('.', '/')} {action}"
                offered.setdefault(name, set()).add(role)

    assert offered == ACTIONS
