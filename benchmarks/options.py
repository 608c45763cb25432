"""The options of `make bench`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.figures import FIGURES
from benchmarks.figures.throughput import cells
from benchmarks.sizes import MAX_GROWTH, SIZES, Sizes

DESCRIPTION = "Speed beside that of others, in one run, as ratios."
#: Switch → what it does.
SWITCHES = {
    "--quick": "the main ratios, in three minutes",
    "--full": "growth up to ten million deliveries",
    "--without-peers": "install and measure no peers",
    "--write-docs": "write docs/benchmarks.md and draw its charts",
    "--show": "show the figures of the last run",
}


def read_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=DESCRIPTION)
    for switch, effect in SWITCHES.items():
        parser.add_argument(switch, action="store_true", help=effect)
    parser.add_argument("--rounds", type=int, help="of each figure; 5, quickly 2")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(FIGURES),
        metavar="NAME",
        help=", ".join(FIGURES),
    )
    names = [cell.name for cell in cells()]
    parser.add_argument(
        "--cells",
        nargs="+",
        choices=names,
        default=[],
        metavar="NAME",
        help=f"of throughput: {', '.join(names)}",
    )
    parser.add_argument(
        "--sizes", choices=list(SIZES), help="how much is measured; tiny means nothing"
    )
    return parser.parse_args(arguments)


def size_of(options: argparse.Namespace) -> str:
    """The name of the chosen sizes."""
    return str(options.sizes or ("quick" if options.quick else "whole"))


def chosen_sizes(options: argparse.Namespace) -> Sizes:
    chosen = SIZES[size_of(options)]
    if options.full:
        chosen = replace(chosen, growth=tuple(sorted({*chosen.growth, MAX_GROWTH})))
    return replace(chosen, rounds=options.rounds) if options.rounds else chosen
