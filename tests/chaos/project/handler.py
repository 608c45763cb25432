from __future__ import annotations

from router.public import Event, subscriber
from tests.chaos.project import effects
from tests.chaos.subscribers import LEDGER, PICKY, POST

TYPE = "order.placed"


@subscriber(LEDGER, events=[TYPE], is_safe_concurrently=True)
def keep_ledger(event: Event) -> None:
    effects.work()
    effects.insert(event.id, LEDGER)


@subscriber(
    PICKY,
    events=[TYPE],
    max_failures=2,
    retry_first_seconds=1,
    retry_maximum_seconds=1,
)
def be_picky(event: Event) -> None:
    effects.insert(event.id, PICKY)
    effects.work()
    if event.data["is_cursed"]:
        raise effects.Cursed


@subscriber(POST, events=[TYPE], is_transactional=False)
def post(event: Event) -> None:
    effects.work()
    effects.append(event.id, POST)
