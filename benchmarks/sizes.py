"""How much is measured: in full, quickly, or just enough to see that it works."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Contender → its share of the deliveries of a run. The rate of a slow contender is
#: known after fewer; each share is worth some seconds of work.
SHARES = {
    "fanfare": 1.0,
    "by_hand": 0.6,
    "bare_celery": 0.6,
    "naive": 0.06,
    "procrastinate": 0.08,
    "pgqueuer": 0.6,
    "pgqueuer_batch": 1.0,
    "graphile_worker": 1.0,
}
MIN_DELIVERIES = 50
#: Deliveries in the table, with `--full`.
MAX_GROWTH = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Counts, and seconds where a run has no end of its own."""

    rounds: int
    #: Deliveries that wait when the workers start.
    backlog: int
    #: Deliveries of the events published while the workers run.
    live: int
    #: Orders timed in one round, with and without publishing.
    orders: int
    client_seconds: float
    paced_seconds: float
    #: Webhooks that wait when the worker starts, as many for every contender.
    webhooks: int = 20_000
    #: Events to and from a foreign router.
    foreign: int = 5000
    #: Events that an endpoint misses.
    outage: int = 200_000
    #: Events of history for a subscriber that comes late.
    history: int = 1_000_000
    #: Tried for bare Celery, which gets the best.
    prefetches: tuple[int, ...] = (1, 4, 16)
    subscribers: tuple[int, ...] = (1, 5, 50, 500)
    growth: tuple[int, ...] = (100_000, 1_000_000)
    due: int = 100_000
    scaling: tuple[int, ...] = (1, 2, 3, 4)
    #: Events a second.
    sizing: tuple[float, ...] = (0, 1, 10, 50, 200)
    #: Settled events beside a dispatcher without work.
    idle: tuple[int, ...] = (0, 100_000)
    #: Subscribers in the stream beside five that want the type.
    uninterested: tuple[int, ...] = (0, 495)

    def share(self, contender: str, total: int) -> int:
        """This contender's deliveries of `total`, in whole events of five."""
        return max(MIN_DELIVERIES, int(total * SHARES[contender])) // 5 * 5


WHOLE = Sizes(
    rounds=5,
    backlog=50_000,
    live=40_000,
    orders=400,
    client_seconds=6,
    paced_seconds=20,
)
QUICK = Sizes(
    rounds=2,
    backlog=20_000,
    live=20_000,
    orders=200,
    client_seconds=3,
    paced_seconds=5,
    webhooks=5000,
    foreign=2000,
    history=100_000,
    subscribers=(5,),
)
#: Every figure, up to the longest table, in an hour and a half.
HOUR = replace(
    QUICK,
    rounds=3,
    backlog=WHOLE.backlog,
    paced_seconds=8,
    subscribers=WHOLE.subscribers,
    growth=(*WHOLE.growth, MAX_GROWTH),
)
#: Proves that the command works; its figures mean nothing.
TINY = Sizes(
    rounds=1,
    backlog=300,
    live=300,
    orders=20,
    client_seconds=0.5,
    paced_seconds=1.5,
    webhooks=100,
    foreign=300,
    outage=300,
    history=300,
    prefetches=(4,),
    subscribers=(5,),
    growth=(1000,),
    due=500,
    scaling=(1, 2),
    sizing=(0, 20),
    idle=(0, 1000),
    uninterested=(0, 5),
)
SIZES = {"whole": WHOLE, "hour": HOUR, "quick": QUICK, "tiny": TINY}
