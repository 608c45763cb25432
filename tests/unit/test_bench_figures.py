"""The arithmetic of `make bench`, and what it reads from the files of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import results
from benchmarks.arithmetic import (
    halves,
    median,
    percentile,
    ratio,
    ratios,
    rounded,
    spread,
)
from benchmarks.bench import Bench
from benchmarks.contenders import (
    BARE,
    FANFARE,
    GRAPHILE,
    PGQUEUER,
    WEBHOOKS,
    Contender,
    Setup,
    worker_argv,
    worker_count,
)
from benchmarks.figures.latency import ratios_to
from benchmarks.figures.throughput import prefetches
from benchmarks.figures.webhooks import ONE, OTHER, OURS, TEN, entry
from benchmarks.measuring import Measured
from benchmarks.peers import modules_for_node
from benchmarks.plots import Bar, Chart, Group, svg
from benchmarks.report import number, tables
from benchmarks.run import Run
from benchmarks.sizes import SHARES, WHOLE
from config.supervisor.processes import WORKERS
from tests.servers.on_demand import Servers


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),  # without values there is no figure
        ([7.0], 0.99, 7.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),  # in any order
        ([float(n) for n in range(1, 101)], 0.99, 100.0),
        ([1.0, 2.0], 1.0, 2.0),  # never past the end
    ],
)
def test_a_percentile_is_a_value_that_was_seen(
    values: list[float], share: float, expected: float | None
) -> None:
    assert percentile(values, share) == expected


def test_the_median_of_even_rounds_lies_between_the_middle_two() -> None:
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5
    assert median([]) is None


@pytest.mark.parametrize(
    ("events_per_s", "expected"),
    [(20.0, {"p50": 2.0, "p99": 3.0}), (21.0, {"p50": None, "p99": None})],
)
def test_latencies_are_compared_at_the_same_pace_only(
    events_per_s: float, expected: dict[str, float | None]
) -> None:
    bare = {"events_per_s": 20.0, "p50": 4.0, "p99": 6.0}
    own = {"events_per_s": events_per_s, "p50": 8.0, "p99": 18.0}

    assert ratios_to(bare, own) == {
        f"{name}_ratio_to_bare_celery": value for name, value in expected.items()
    }


def test_the_spread_has_the_least_and_the_most() -> None:
    assert spread([3.0, 1.0, 2.0]) == {"median": 2.0, "least": 1.0, "most": 3.0}
    assert spread([]) == {"median": None, "least": None, "most": None}


@pytest.mark.parametrize(
    ("value", "base", "expected"),
    [
        (10.0, 4.0, 2.5),
        (None, 4.0, None),
        (10.0, None, None),
        (10.0, 0.0, None),  # no contender is infinitely fast
        (0.0, 4.0, 0.0),
    ],
)
def test_a_ratio_needs_both_sides(
    value: float | None, base: float | None, expected: float | None
) -> None:
    assert ratio(value, base) == expected


def test_ratios_are_named_for_what_they_are_taken_to() -> None:
    assert ratios(10.0, {"naive": 5.0, "pgqueuer": None}) == {
        "ratio_to_naive": 2.0,
        "ratio_to_pgqueuer": None,
    }


def test_no_figure_has_more_digits_than_are_known() -> None:
    assert rounded(1234.5678) == 1235
    assert rounded(0.00123456) == 0.001235
    assert rounded(None) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (12345.6, "12,346"),
        (12.34, "12.3"),
        (0.456, "0.46"),
        (-3.2, "-3.20"),
    ],
)
def test_a_number_is_shown_for_people(value: float | None, expected: str) -> None:
    assert number(value) == expected


def test_halves_keep_the_order() -> None:
    assert halves([1.0, 2.0, 3.0]) == ([1.0], [2.0, 3.0])


def test_every_share_is_in_whole_events() -> None:
    for name in SHARES:
        share = WHOLE.share(name, 50_000)
        assert 0 < share <= 50_000
        assert share % 5 == 0


@pytest.mark.parametrize(
    ("peers", "node_modules", "expected"),
    [
        (None, None, [FANFARE]),
        (Path("python"), None, [FANFARE, PGQUEUER]),
        (Path("python"), Path("node_modules"), [FANFARE, PGQUEUER, GRAPHILE]),
    ],
)
def test_only_those_take_part_whose_packages_are_here(
    tmp_path: Path,
    peers: Path | None,
    node_modules: Path | None,
    expected: list[Contender],
) -> None:
    with Servers() as none_started:
        bench = Bench(
            servers=none_started,
            sizes=WHOLE,
            folder=tmp_path,
            peers=peers,
            node_modules=node_modules,
            log=print,
        )
        assert bench.present([FANFARE, PGQUEUER, GRAPHILE]) == expected


@pytest.mark.parametrize(
    ("broker", "pool", "expected"),
    [
        ("redis", "solo", [1, 4, 16]),
        ("rabbitmq", "prefork", [1, 4, 16]),
        # A solo worker waits there for a message before it acknowledges the last one.
        ("rabbitmq", "solo", [4, 16]),
    ],
)
def test_bare_celery_is_tried_at_no_prefetch_that_comes_to_a_stop(
    broker: str, pool: str, expected: list[int]
) -> None:
    setup = Setup(broker=broker, pool=pool)
    assert prefetches(WHOLE, setup) == expected


def test_without_node_its_peer_is_left_out_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: list[str] = []
    monkeypatch.setattr("tests.servers.node.WHEEL", "no_such_wheel")
    monkeypatch.setenv("PATH", "")

    assert modules_for_node(logged.append) is None
    assert logged == [
        "without graphile-worker: neither the wheel no_such_wheel nor node is here"
    ]


def test_what_was_done_before_a_moment_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "done-1").write_text("100.0 5\n101.0 20\n102.0 30\n")
    (tmp_path / "done-2").write_text("100.5 1\n101.5 4\n103.0 ")  # still writing
    assert results.counted(tmp_path, since=100.5) == results.Finished(
        count=(30 - 5) + (4 - 1), first_at=101.0, last_at=102.0
    )


def test_a_rate_counts_from_the_first_acknowledgement_and_without_it(
    tmp_path: Path,
) -> None:
    bench = Bench(
        servers=Servers(),
        sizes=WHOLE,
        folder=tmp_path,
        peers=None,
        node_modules=None,
        log=print,
    )
    run = Run(bench, replace(BARE, celery=""), OURS, "")
    done = run.folder / "done-1"

    done.write_text("100.0 200\n101.0 300\n102.0 400\n")
    assert run.after_first(run.finished(0.0)) == (200, 2.0)

    done.write_text("100.0 50\n")
    assert run.after_first(run.finished(0.0)) == (50, 0.0)


def test_waits_come_in_the_order_of_publishing(tmp_path: Path) -> None:
    (tmp_path / "waits-1").write_text("0 2000 3000000\n")
    (tmp_path / "waits-2").write_text("1 1000 5000000\n")
    assert [(wait.subscriber, wait.ms) for wait in results.waits(tmp_path)] == [
        (1, 5.0),
        (0, 3.0),
    ]


def test_prefork_is_one_worker_and_solo_as_many_as_are_wanted() -> None:
    solo, prefork = Setup(workers=3), Setup(workers=3, pool="prefork")
    assert worker_count(FANFARE, solo) == 3
    assert worker_count(FANFARE, prefork) == 1
    assert "--concurrency" not in worker_argv(FANFARE, solo, "a", "python")
    assert worker_argv(FANFARE, prefork, "a", "python")[-1] == "3"
    # A peer has no pool of Celery.
    assert worker_count(PGQUEUER, prefork) == 3


def test_webhooks_are_posted_by_the_worker_that_production_starts() -> None:
    queue, pool = WORKERS["webhooks"]
    command = " ".join(worker_argv(WEBHOOKS, OURS, "a", "python"))
    assert worker_count(WEBHOOKS, OURS) == 1
    assert f"-Q {queue} " in command
    assert all(word in command.split() for word in pool.split())


def posted(*per_s: float) -> list[Measured]:
    cpu = {"publisher": 9.0, "worker": 2.0, "database": 1.0}
    return [Measured(per_s=rate, cpu=cpu, rss={}) for rate in per_s]


def test_webhooks_are_divided_by_those_of_requests() -> None:
    runs = {ONE: posted(90.0, 100.0, 110.0), TEN: posted(300.0), OTHER: posted(50.0)}
    figure = entry(runs, count=100)
    assert figure["per_s"] == 100.0
    assert figure["ratio_to_threads_requests"] == 2.0
    assert figure["ratio_to_threads_requests_ten_endpoints"] == 6.0
    # Filling the backlog does not count.
    assert figure["cpu_s_per_10k"][ONE] == {"database": 1.0, "worker": 2.0}


def test_webhooks_have_a_line_for_each_that_posts() -> None:
    runs = {name: posted(50.0) for name in (ONE, TEN, OTHER)}
    _, headings, rows = tables({"webhooks": entry(runs, count=100)})["webhooks"]
    assert len(rows) == 3
    assert {len(row) for row in rows} == {len(headings)}
    assert rows[0][0] == "Fanfare, one endpoint, 1,000 in flight"


def chart(*values: float, is_log: bool = False) -> Chart:
    bars = [Bar(label="a <b>", value=value, text=f"{value} ms") for value in values]
    groups = [Group(heading="few & many", bars=bars)]
    return Chart(name="chart", title="A & B", remark="", groups=groups, is_log=is_log)


def bar_lengths(drawn: str) -> list[float]:
    root = ElementTree.fromstring(drawn)
    names = "{http://www.w3.org/2000/svg}rect"
    return [
        float(bar.attrib["width"])
        for bar in root.iter(names)
        if bar.attrib["class"] in ("bar", "ours")
    ]


def test_a_pace_is_shown_in_cores_and_in_room_on_the_disk() -> None:
    cores = {"dispatcher": 0.1, "worker": 0.25, "database": 0.15, "broker": 0.05}
    figure = {
        "workers": 2,
        "bytes_per_event": 2**30 // 864,
        "paces": [{"events_per_s": 10, "cores": cores}],
    }

    ((_, headings, (row,)),) = tables({"sizing": figure}).values()

    assert headings[-2:] == ["together", "GiB a day"]
    assert row == ["10 events/s", "0.10", "0.25", "0.15", "0.05", "0.55", "1,000"]


def test_a_dispatcher_without_work_is_shown_in_percent_of_a_core() -> None:
    figure = {
        "events": 100_000,
        "deleted_subscribers": 500,
        "dispatcher": 0.0385,
        "database": None,
    }

    ((_, _, (row,)),) = tables({"idle": [figure]}).values()

    assert row == ["100,000 events, 500 deleted subscribers", "3.85 %", "–"]


def test_a_foreign_router_has_a_line_with_both_ways() -> None:
    figure = {"name": "amqp", "out_per_s": 895.2, "in_per_s": None}

    ((_, headings, (row,)),) = tables({"foreign": [figure]}).values()

    assert headings == ["", "out", "in"]
    assert row == ["RabbitMQ, a quorum queue on one node", "895", "–"]


def test_bars_are_as_long_as_their_values() -> None:
    longer, shorter = bar_lengths(svg(chart(100.0, 25.0)))
    assert longer == pytest.approx(4 * shorter, abs=4)


def test_a_logarithmic_bar_grows_by_as_much_for_each_factor() -> None:
    first, ten, hundred = bar_lengths(svg(chart(1.0, 10.0, 100.0, is_log=True)))
    assert hundred - ten == pytest.approx(ten - first, abs=1)


def test_nothing_and_less_than_nothing_are_still_drawn() -> None:
    assert len(bar_lengths(svg(chart(0.0, -1.0)))) == 2


def test_a_chart_says_in_words_what_it_shows() -> None:
    drawn = svg(chart(5.0))
    assert "<desc" in drawn
    assert "few &amp; many a &lt;b&gt; 5.0 ms</desc>" in drawn
