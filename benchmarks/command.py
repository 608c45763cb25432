"""The command of `make bench`: which figures are taken, in one run, and kept."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf import settings
from rich.console import Console

from benchmarks import report
from benchmarks.bench import Bench
from benchmarks.figures import FIGURES, QUICK, Figure
from benchmarks.machine import machine, today, versions
from benchmarks.options import chosen_sizes, read_options, size_of
from benchmarks.pages import write_pages
from benchmarks.peers import modules_for_node, python_of_peers
from benchmarks.run import NotDone
from tests.servers.on_demand import Servers
from tests.servers.unavailable import Unavailable

PLAIN_WIDTH = 140
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    options = read_options(arguments)
    # A log has no width to keep to.
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(highlight=False, width=width)
    path = settings.VAR_DIR.resolve() / "bench" / "latest.json"
    code = 0 if options.show else _take(options, console, path)
    if options.show:
        report.show(console, report.load(path))
    if options.write_docs and not code:
        for page in write_pages(report.load(path)):
            console.print(f"Wrote {page}")
    return code


def _take(options: argparse.Namespace, console: Console, path: Path) -> int:
    """Take the figures, show and save them; returns the exit code."""
    # A shell's background children begin with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    figures = Figures(console, path, options)
    try:
        with _bench(console, path.parent, options) as bench:
            figures.take(bench)
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.", style="bold red")
        return INTERRUPTED
    except Unavailable as error:
        console.print(f"It cannot run here: {error}", style="bold red")
        return 1
    finally:
        report.show(console, figures.taken)
    console.print(f"All figures are in {path}")
    return 1 if figures.failed else 0


@contextmanager
def _bench(
    console: Console, folder: Path, options: argparse.Namespace
) -> Iterator[Bench]:
    def log(line: str) -> None:
        console.print(f"  {line}", style="dim")

    has_peers = not options.without_peers
    folder.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(
            prefix="runs-", dir=folder, ignore_cleanup_errors=True
        ) as runs,
        Servers(is_durable=True) as servers,
    ):
        yield Bench(
            servers=servers,
            sizes=chosen_sizes(options),
            folder=Path(runs),
            peers=python_of_peers() if has_peers else None,
            node_modules=modules_for_node(log) if has_peers else None,
            log=log,
            cells=options.cells,
        )


class Figures:
    """The figures so far; they are saved after each."""

    def __init__(
        self, console: Console, path: Path, options: argparse.Namespace
    ) -> None:
        self.taken: dict[str, Any] = {}
        self.failed: list[str] = []
        self._console = console
        self._path = path
        self._options = options

    def take(self, bench: Bench) -> None:
        conditions = {
            "taken_on": today(),
            "is_quick": self._options.quick,
            "rounds": bench.sizes.rounds,
            "sizes": size_of(self._options),
            "machine": machine(),
            "versions": versions(bench),
        }
        self.taken |= {**self._kept(conditions), **conditions}
        for name, figure in self._chosen().items():
            self._console.print(name, style="bold")
            self._take(name, figure, bench)
            report.save(self._path, self.taken)

    def _kept(self, conditions: dict[str, Any]) -> dict[str, Any]:
        """With `--only`: the other figures of a run under the same conditions."""
        if not self._options.only or not self._path.exists():
            return {}
        before = report.load(self._path)
        keys = ("taken_on", "sizes", "rounds", "versions")
        is_same = all(before.get(key) == conditions[key] for key in keys)
        return before if is_same else {}

    def _chosen(self) -> dict[str, Figure]:
        figures = QUICK if self._options.quick else FIGURES
        names = self._options.only or list(figures)
        return {name: {**FIGURES, **figures}[name] for name in names}

    def _take(self, name: str, figure: Figure, bench: Bench) -> None:
        try:
            self.taken |= figure(bench)
        except (NotDone, Unavailable, AssertionError) as error:
            self.failed.append(name)
            self._console.print(f"{name} has no figure: {error}", style="bold red")
