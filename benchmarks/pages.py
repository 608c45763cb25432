"""`docs/benchmarks.md` and its pictures, written from the figures of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.charts import charts
from benchmarks.plots import svg
from benchmarks.processes import ROOT
from benchmarks.report import tables

DOCS = ROOT / "docs"
Taken = Mapping[str, Any]

HEAD = """# Benchmarks

Written by `make bench ARGS="--write-docs"`. Ratios travel from machine to machine,
absolute figures do not: read the ratios, and take your own figures.
"""
HOW = """
## How it was taken

* All contenders on one machine, in turn: round by round, not one after the other;
  medians of the rounds.
* PostgreSQL with `fsync` and `synchronous_commit` on. A run ends when the contender's
  database says that every delivery is done; bare Celery has none, its workers count.
* An event is owed to five subscribers: five deliveries, tasks or jobs.
* *bare Celery*: no Django, no database, tasks that do nothing, `acks_late`, at the best
  of the prefetch counts 1, 4 and 16; on RabbitMQ without 1 for solo workers, which keep
  acknowledgements back and come to a stop there. It is divided by in every row, also
  where the others' handlers insert rows.
* *PgQue* is not here: package registries have its client, and not its SQL.
* *one INSERT by hand*: the event's row, in a table with the same indexes, and nothing
  else of what publishing does. It is the least that an outbox can cost on that machine.
* *naive Django + Celery*: a row for each task, `delay_on_commit`, `CELERY_DB_REUSE_MAX`
  set.
* *procrastinate*, with its Django connector, and *pgqueuer*: all jobs of an event in
  one call, in the order's transaction; two workers, asynchronous handlers. They know no
  broker and no pool: the rows of one kind of work are divided by the same figure.
* *graphile-worker* runs on Node.js, where that is here: two workers with the settings
  of its own performance test, a local queue of 500 jobs and 24 at once. It deletes what
  is done, so its time ends when its table is empty; its handlers insert by a plain
  statement. It is the upper reference.
* `redis` or `rabbitmq`; `solo`: two workers, `prefork`: one worker with two processes;
  `noop`: the handler does nothing, `orm`: it inserts a row; `backlog`: from deliveries
  that wait, `live`: while two publishers publish, from the first event to the last
  acknowledgement.
* Webhooks: one worker process, a backlog, and a receiver on the same machine that
  answers after 50 ms; from its first post to the last acknowledgement in the database.
  Fanfare's worker has sixteen threads and signs what it posts. With one endpoint its
  `in_flight_limit` is raised, with ten it is the default. *Celery threads + requests*
  reads a row, posts it and updates it, in 64 threads that keep their connections,
  `acks_late`; it signs nothing.
* The endpoint that is down refuses connections while two publishers publish. The
  others' times are taken after that, at 20 events a second, beside what it is owed.
* Foreign routers: one worker process publishes a backlog with a hundred keys, and one
  process of a bridge takes as many in; each from the first confirmation, or recorded
  event, to the last. Only RabbitMQ is the real server: with the others the figure is
  about this side, and an emulator may be what limits it.
* A slow contender gets fewer deliveries, so that each works for some seconds.
* Latency is taken at a steady pace, since bursts hide what piles up: 20 events a
  second, a quarter and a half of what each can do at most.

## How to read it

* Latency at a low pace is where Fanfare is slowest beside the others. *The same commits
  by hand* are the floor: an event that is published, routed, leased and acknowledged in
  one statement each, with bare Celery between and no Django in dispatcher and worker;
  no filters, breakers, retries, attempts or limits. What is above it is Fanfare's own.
* At a low pace no statement is shared with another event, and each wakes two processes
  that were idle. What was idle is slow: on the machine of 2026-11-27 `SELECT 1` took
  0.09 ms right after another, 0.37 ms after 20 ms of rest.
* At half of what it can do Fanfare is at eleven times the pace of naive Celery's half;
  its events share turns, chunks and commits, and wait for each other.
* What publishing adds beyond *one INSERT by hand* is Python: the event is checked,
  looked up among the schemas, digested, and given its id and trace.
* A backlog of handlers in the same database is drained by position: a cursor moves over
  a chunk of events in the transaction of their effects, and no row is written for each.
  The others write or delete a row for each job. While events come one by one the chunks
  are small, and the ratios with them.
* A client that pulls, a webhook and a foreign router get a row for each event, since
  each is acknowledged by itself.
* *pgqueuer* and *procrastinate* run asynchronous handlers, which insert by Django's
  asynchronous ORM. Why that is so slow was not traced: do not quote their `orm` rows.
"""
INTRODUCTIONS = {
    "throughput": "Deliveries a second ÷ those of others on the same machine.",
    "publish_added_ms": "One INSERT, whatever the number of subscribers.",
    "outage": "A subscriber that is down owns a window of rows, not a row an event.",
    "catching_up": (
        "By a backfill, each event acknowledged: a handler that does nothing and one "
        "worker, a client that pulls over HTTP from one web process, a webhook whose "
        "receiver answers after 50 ms."
    ),
    "webhooks": "As many events to one receiver, which answers after 50 ms.",
    "foreign": "One process each; most of the servers are emulators.",
    "sizing": (
        "Handlers that do nothing: add what yours do. The disk is what the log, the "
        "deliveries and their attempts take, indexes and dead rows included."
    ),
    "idle": "No event comes, and nothing is due. The past must cost nothing.",
    "uninterested": "At 50 events a second; all of them are handlers in the stream.",
    "latency_ms": "The two halves of a run tell whether the wait grows.",
}


def write_pages(taken: Taken) -> list[Path]:
    """Write them; returns their paths."""
    pictures = dict(charts(taken))
    written = []
    for chart in pictures.values():
        written.append(DOCS / "pictures" / f"{chart.name}.svg")
        written[-1].write_text(svg(chart))
    written.append(DOCS / "benchmarks.md")
    written[-1].write_text("\n".join(_page(taken, pictures)))
    return written


def _page(taken: Taken, pictures: Mapping[str, Any]) -> Iterator[str]:
    yield HEAD
    yield from _machine(taken)
    for key, (title, headings, rows) in tables(taken).items():
        yield f"\n## {title}\n"
        if key in INTRODUCTIONS:
            yield f"{INTRODUCTIONS[key]}\n"
        if key in pictures:
            yield f"![{title}](pictures/{pictures[key].name}.svg)\n"
        yield _line(headings)
        yield _line(["---", *["---:"] * (len(headings) - 1)])
        for row in rows:
            yield _line(row)
    yield HOW


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _machine(taken: Taken) -> Iterator[str]:
    machine = taken["machine"]
    versions = ", ".join(
        f"{name} {number}" for name, number in taken["versions"].items()
    )
    rounds = "one round" if taken["rounds"] == 1 else f"{taken['rounds']} rounds"
    is_whole = taken["sizes"] == "whole"
    quick = "" if is_whole else f", of the sizes `--sizes {taken['sizes']}`"
    yield f"Taken on {taken['taken_on']} in {rounds}{quick}."
    yield (
        f"{machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}."
    )
    yield f"{versions}."
