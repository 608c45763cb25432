"""Dashboard and alert rules name what a scrape has, down to the values of labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.test import override_settings

from router.models import Heartbeat
from tests import containers
from tests.contract.steps import boom, count_all, drain, publish_events
from tests.integration.scraping import Samples, scrape
from tests.receivers import Declare

MONITORING = containers.DOCKER / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((MONITORING / "grafana-fanfare.json").read_text())
SELECTOR = re.compile(r"(fanfare_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on) \(([^)]*)\)")


def expressions() -> Iterator[str]:
    for rule in RULES:
        yield rule["expr"]
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for variable in DASHBOARD["templating"]["list"]:
        yield re.sub(r"label_values\((\w+), \w+\)", r"\1", variable["query"]["query"])


def labels_shown() -> Iterator[str]:
    """Names of labels in groupings, legends and texts."""
    for expression in expressions():
        for names in GROUPING.findall(expression):
            yield from filter(None, names.split(", "))
    text = json.dumps([DASHBOARD, RULES])
    yield from re.findall(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}", text)


def beat(kind: str, **details: Any) -> None:
    Heartbeat.objects.create(
        name=kind, kind=kind, beat_at="2100-01-01T00:00Z", details=details
    )


@pytest.fixture
def samples(declare: Declare) -> Samples:
    """Of a router at work: some fail, and a bridge runs."""
    declare("well")
    declare("ill", behave=boom)
    publish_events()
    drain()
    count_all()
    for kind in ("dispatcher", "worker"):
        beat(kind)
    beat("bridge", bridge="legacy", waiting=3)
    with override_settings(DEBUG=True):
        return scrape()


def is_matched(labels: dict[str, str], matchers: str) -> bool:
    for name, operator, wanted in MATCHER.findall(matchers):
        is_same = labels.get(name) == wanted
        if wanted.startswith("$"):
            is_same = name in labels
        if is_same == (operator == "!="):
            return False
    return True


def test_each_metric_that_is_named_is_in_a_scrape(samples: Samples) -> None:
    named = {match for text in expressions() for match in SELECTOR.findall(text)}
    assert len(named) > 10
    missing = [
        f"{name}{{{matchers}}}"
        for name, matchers in named
        if not any(
            sampled == name and is_matched(dict(labels), matchers)
            for sampled, labels in samples
        )
    ]
    assert missing == []


def test_each_label_that_is_named_is_in_a_scrape(samples: Samples) -> None:
    known = {label for _, labels in samples for label, _ in labels}
    assert set(labels_shown()) - {"value"} <= known


def test_each_alert_says_what_it_means() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
    for rule in RULES:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].endswith(".")


def test_the_dashboard_asks_the_data_source_that_is_set_up() -> None:
    sources = yaml.safe_load((MONITORING / "grafana-datasource.yml").read_text())
    asked = set(re.findall(r'"uid": "(\w+)"', json.dumps(DASHBOARD["panels"])))
    assert asked == {source["uid"] for source in sources["datasources"]}


def test_no_two_panels_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        columns = range(grid["x"], grid["x"] + grid["w"])
        cells = {
            (x, y) for x in columns for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert max(columns) < 24
        assert not cells & taken
        taken |= cells
