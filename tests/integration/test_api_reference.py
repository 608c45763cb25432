"""The API's description: valid, complete, and readable at `/api/docs/`."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from threading import Barrier
from typing import Any

import jsonschema_rs
import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import spectacular_settings

from config.env import BASE_DIR
from router.api.reference.operations import Reference
from router.api.reference.page import reference

DOCS = "/api/docs/"
ARTICLE = re.compile(
    r'<article [^>]*aria-labelledby="([^"]*)">(.*?)</article>', re.DOTALL
)
ASK = """
import django, json
django.setup()
from django.test import Client
from django.test.utils import setup_test_environment
setup_test_environment()
answers = [Client().get(f"/api/{name}/") for name in ("docs", "schema")]
print(json.dumps([(answer.status_code, answer.content.decode()) for answer in answers]))
"""


@pytest.fixture
def schema(client: Client) -> dict[str, Any]:
    body: dict[str, Any] = client.get("/api/schema/").json()
    return body


@pytest.fixture
def page(client: Client) -> str:
    """Nobody is logged in, and there is no database: it asks for neither."""
    answer = client.get(DOCS, headers={"host": "shop.example:8443"}, secure=True)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    return answer.content.decode()


@pytest.fixture
def articles(page: str) -> dict[str, str]:
    """Operation id → its part of the page."""
    return dict(ARTICLE.findall(page))


@pytest.fixture(autouse=True)
def _any_host(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["shop.example", "testserver"]


def test_the_description_is_valid_and_its_making_warns_of_nothing(
    tmp_path: Path, schema: dict[str, Any]
) -> None:
    made = tmp_path / "schema.json"
    options = {"format": "openapi-json", "file": str(made), "validate": True}

    call_command("spectacular", fail_on_warn=True, **options)

    servers = {"servers": [{"url": "http://testserver"}]}
    assert json.loads(made.read_text()) | servers == schema
    assert schema["openapi"].startswith("3.1")


def test_many_who_ask_at_once_make_one_description(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []
    ready = Barrier(4)

    class Counted(SchemaGenerator):  # type: ignore[misc]  # spectacular is not typed
        def get_schema(self, *given: Any, **named: Any) -> Any:
            made.append(self)
            return super().get_schema(*given, **named)

    def ask(_: int) -> Reference:
        ready.wait(timeout=60)
        # A language that no other test asked for: nothing is kept of it.
        return reference("eo")

    monkeypatch.setattr(spectacular_settings, "DEFAULT_GENERATOR_CLASS", Counted)
    with ThreadPoolExecutor(4) as threads:
        references = list(threads.map(ask, range(4)))

    assert [each == references[0] for each in references] == [True] * 4
    assert len(made) == 1


def test_every_component_is_valid_json_schema(schema: dict[str, Any]) -> None:
    # The schema of OpenAPI 3.1 leaves these to the dialect of JSON Schema.
    for component in schema["components"]["schemas"].values():
        jsonschema_rs.meta.validate(component)


def test_every_operation_is_on_the_page(
    schema: dict[str, Any], articles: dict[str, str], page: str
) -> None:
    operations = {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in {**schema["paths"], **schema["webhooks"]}.items()
        for method, operation in item.items()
    }

    assert articles.keys() == operations.keys()
    for name, (method, path, operation) in operations.items():
        assert f">{method}</span> <code>{path}</code>" in articles[name]
        assert f'<a href="#{name}">' in page
        for status in operation["responses"]:
            shown = articles[name] + page.partition("<article")[0]
            assert f">{status} " in shown


@pytest.mark.parametrize(
    ("operation", "scope"),
    [("publish_events", "publish"), ("create_subscriber", "manage")],
)
def test_the_reference_says_which_scope_a_call_needs(
    articles: dict[str, str], page: str, operation: str, scope: str
) -> None:
    assert f"a key with the scope <code>{scope}</code>" in articles[operation]
    (scopes,) = re.findall(r"create_api_key NAME --scopes ([\w,]+)", page)
    assert scope in scopes.split(",")


def test_what_is_sent_is_shown_with_its_duties_and_values(
    articles: dict[str, str],
) -> None:
    row = re.search(
        r"<code>transport</code>(.*?)</tr>", articles["create_subscriber"], re.DOTALL
    )

    assert row
    assert "required" in row[1]
    for value in ("webhook", "pull"):
        assert f"<code>{value}</code>" in row[1]


def test_the_body_of_a_problem_is_shown_once(page: str) -> None:
    assert page.count('<span class="prefix">errors[].</span>pointer') == 1


def test_each_example_can_be_run_as_it_stands(articles: dict[str, str]) -> None:
    assert "<pre>" not in articles.pop("receive_event")
    for article in articles.values():
        (text,) = re.findall(r"<pre><code>(.*?)</code></pre>", article, re.DOTALL)
        words = shlex.split(unescape(text))

        assert words[0] == "curl"
        # curl reads braces as a pattern.
        assert re.fullmatch(r"https://shop\.example:8443/api/[\w$/?=&-]*", words[1])
        assert "Authorization: Bearer $KEY" in words
        if "-d" in words:
            json.loads(words[words.index("-d") + 1])


def test_no_key_and_no_secret_is_on_the_page(page: str) -> None:
    assert "fanfare_" not in page
    assert not re.search(r"whsec_\w", page)


def test_nothing_on_the_page_breaks_its_policy(page: str) -> None:
    assert "<style" not in page
    assert not re.search(r"<[^>]*\s(style|on\w+)=", page)
    assert re.findall(r"<script[^>]*>[^<]", page) == []
    sources = re.findall(r'<(?:script|img|link)[^>]*(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("/static/router/") for source in sources)


def test_every_address_inside_the_page_leads_somewhere_in_it(page: str) -> None:
    identities = re.findall(r'\sid="([^"]*)"', page)

    assert len(identities) == len(set(identities))
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(identities)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("head", DOCS, 200),
        ("post", DOCS, 405),
        ("get", f"{DOCS}nothing/", 404),
    ],
)
def test_it_is_a_page_to_read_only(
    client: Client, method: str, path: str, status: int
) -> None:
    answer = getattr(client, method)(path)

    assert answer.status_code == status
    assert method != "head" or answer.content == b""


@pytest.mark.django_db
def test_the_admin_leads_to_it_from_a_new_key(admin_client: Client) -> None:
    given = {"name": "Warehouse", "scopes": ["consume"], "subscribers": "erp"}

    answer = admin_client.post("/admin/router/apikey/add/", given)

    assert f'href="{DOCS}"' in answer.content.decode()


@pytest.mark.parametrize("has_spectacular", [True, False])
def test_another_project_has_it_by_the_lines_of_the_docs(
    tmp_path: Path, has_spectacular: bool
) -> None:
    text = (BASE_DIR / "docs" / "use-elsewhere.md").read_text()
    first, _, more, urls, *_ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    if not has_spectacular:
        assert ', "drf_spectacular"]' in more
        more = more.replace(', "drf_spectacular"]', "]")
    (tmp_path / "settings.py").write_text(first + more)
    (tmp_path / "urls.py").write_text(urls)
    (tmp_path / "listener.py").touch()

    completed = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=tmp_path,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings",
            "PYTHONPATH": os.pathsep.join((str(tmp_path), str(BASE_DIR))),
            "SECRET_KEY": "a-key-for-this-test",
            "ENCRYPTION_KEY": Fernet.generate_key().decode(),
            "DATABASE_PATH": str(tmp_path / "own.sqlite3"),
            "STATIC_ROOT": str(tmp_path / "static"),
            "BROKER_URL": "memory://",
        },
        check=True,
        capture_output=True,
        text=True,
    )

    (status, page), (schema_status, schema) = json.loads(completed.stdout)
    assert (status, schema_status) == (200, 200)
    assert "Parcels" in page
    assert dict(ARTICLE.findall(page)).keys() == {
        operation["operationId"]
        for where in ("paths", "webhooks")
        for item in json.loads(schema)[where].values()
        for operation in item.values()
    }
