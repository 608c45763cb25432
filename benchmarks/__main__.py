"""`make bench`: speed side by side with others, in one run, as ratios."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks import report
from benchmarks.bench import Bench
from benchmarks.figures import FIGURES, QUICK, Figure
from benchmarks.machine import machine, today, versions
from benchmarks.options import chosen_sizes, read_options, size_of
from benchmarks.pages import write_pages
from benchmarks.peers import modules_for_node, python_of_peers
from benchmarks.processes import Ended
from benchmarks.run import NotDone
from config.env import read_environment
from tests.servers.on_demand import Servers
from tests.servers.unavailable import Unavailable

PLAIN_WIDTH = 140
INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    options = read_options(arguments, __doc__ or "")
    # Elsewhere than on a terminal there is no width to keep to.
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    console = Console(highlight=False, width=width)
    folder = read_environment().var_dir.resolve() / "bench"
    path = folder / "latest.json"
    if options.show:
        report.show(console, report.load(path))
        return _written(options, console, path)
    # A shell's background children begin with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    told = Told(console, path, options)
    try:
        with ExitStack() as stack:
            told.run(_bench(stack, console, folder, options))
    except KeyboardInterrupt:
        console.print("Stopped; nothing is left running.", style="bold red")
        return INTERRUPTED
    finally:
        report.show(console, told.found)
    console.print(f"All of it in {path}")
    return told.exit_code() or _written(options, console, path)


def _bench(
    stack: ExitStack, console: Console, folder: Path, options: argparse.Namespace
) -> Bench:
    def tell(what: str) -> None:
        console.print(f"  {what}", style="dim")

    has_peers = not options.without_peers
    folder.mkdir(parents=True, exist_ok=True)
    runs = TemporaryDirectory(prefix="runs-", dir=folder, ignore_cleanup_errors=True)
    return Bench(
        servers=stack.enter_context(Servers(is_durable=True)),
        stack=stack,
        sizes=chosen_sizes(options),
        folder=Path(stack.enter_context(runs)),
        peers=python_of_peers(folder / "venv", tell) if has_peers else None,
        node_modules=modules_for_node(folder / "node", tell) if has_peers else None,
        tell=tell,
        cells=options.cells,
    )


def _written(options: argparse.Namespace, console: Console, path: Path) -> int:
    if options.write_docs:
        for page in write_pages(report.load(path)):
            console.print(f"Wrote {page}")
    return 0


class Told:
    """The figures so far: whoever stops it half way keeps what there is."""

    def __init__(
        self, console: Console, path: Path, options: argparse.Namespace
    ) -> None:
        self.found: dict[str, Any] = {}
        self._console = console
        self._path = path
        self._options = options
        self._failed: list[str] = []

    def run(self, bench: Bench) -> None:
        told = {
            "taken_on": today(),
            "is_quick": self._options.quick,
            "rounds": bench.sizes.rounds,
            "sizes": size_of(self._options),
            "machine": machine(),
            "versions": versions(bench),
        }
        self.found |= {**self._kept(told), **told}
        for name, figure in self._chosen().items():
            self._console.print(name, style="bold")
            self._run(name, figure, bench)
            report.save(self._path, self.found)

    def _kept(self, told: dict[str, Any]) -> dict[str, Any]:
        """With `--only`: the other figures of a run that was like this one."""
        if not self._options.only or not self._path.exists():
            return {}
        before = report.load(self._path)
        alike = ("taken_on", "sizes", "rounds", "versions")
        return before if all(before.get(key) == told[key] for key in alike) else {}

    def exit_code(self) -> int:
        return 1 if self._failed else 0

    def _chosen(self) -> dict[str, Figure]:
        all_of_them = QUICK if self._options.quick else FIGURES
        only = self._options.only or list(all_of_them)
        return {name: {**FIGURES, **all_of_them}[name] for name in only}

    def _run(self, name: str, figure: Figure, bench: Bench) -> None:
        try:
            self.found |= figure(bench)
        except (Ended, NotDone, Unavailable, AssertionError) as why:
            self._failed.append(name)
            self._console.print(f"{name} has no figure: {why}", style="bold red")


if __name__ == "__main__":
    os.environ.setdefault("DEBUG", "true")
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as failed:
        sys.exit(f"The peers cannot be installed:\n{failed.stdout.decode()[-2000:]}")
