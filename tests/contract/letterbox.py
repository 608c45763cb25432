from __future__ import annotations

from collections.abc import Sequence

from router.messaging.broker import Doorbell, Message


class Letterbox(Doorbell):
    """A broker that nobody takes anything from.

    It takes `breaks_at` messages, and raises `trouble` at the next.
    """

    def __init__(
        self, *, breaks_at: int | None = None, trouble: Exception | None = None
    ) -> None:
        super().__init__()
        self.sent: list[tuple[str, int]] = []
        self._breaks_at = breaks_at
        self._trouble = trouble

    def waiting_count(self, queue: str) -> int:
        return 0

    def send(self, messages: Sequence[Message]) -> None:
        for message in messages:
            if self._trouble and len(self.sent) == self._breaks_at:
                raise self._trouble
            self.sent.append((message.queue, len(message.ids)))
