"""What runs beside the benchmark: publishers, the peers' workers, the relay.

`python -m benchmarks.program CONTENDER SCENARIO …`, in the contender's own virtual
environment; its result goes to a file in the folder of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from django.core.management import call_command

from benchmarks import publisher

FOLDER = Path(os.environ["BENCH_DIR"])


def main(arguments: list[str]) -> None:
    options = _options(arguments)
    if os.environ.get("DJANGO_SETTINGS_MODULE"):
        django.setup()
    contender: Any = import_module(f"benchmarks.adapters.{options.contender}")
    if options.scenario == "prepare":
        call_command("migrate", run_syncdb=True, verbosity=0)
        getattr(contender, "prepare", lambda: None)()
        return
    if options.scenario in ("work", "relay"):
        getattr(contender, options.scenario)()
        return
    if options.scenario in publisher.SCENARIOS:
        result = publisher.SCENARIOS[options.scenario](contender, options)
    else:
        # The peers' environments do not have the router.
        history: Any = import_module("benchmarks.adapters.history")
        result = history.SCENARIOS[options.scenario](options)
    unfinished = FOLDER / f"writing-{options.name}"
    unfinished.write_text(json.dumps(result))
    unfinished.rename(FOLDER / f"result-{options.name}.json")


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender")
    parser.add_argument("scenario")
    parser.add_argument("--name", default="publisher")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rate", type=float, default=1)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--is-silent", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
