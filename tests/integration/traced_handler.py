"""A handler of a worker, which the test registers."""

from __future__ import annotations

from router.public import Event, subscriber
from tests.contract.steps import TYPE


@subscriber("traced", events=[TYPE])
def handle(event: Event) -> None: ...
