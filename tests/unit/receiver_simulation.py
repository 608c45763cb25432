"""One subscriber and its receiver in virtual time, ruled by the router's own objects.

The simulation does what the dispatcher, the workers and the database do: it sends what
is due, in chunks and many at once, and settles the answers. Every decision is made by
`router.contract.failures` and `router.contract.breaker`.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from router.contract.breaker import (
    RECENTLY,
    Breaker,
    BreakerState,
    End,
    Waits,
    end_of_outage,
)
from router.contract.failures import Past, Receiver, judge
from router.contract.outcomes import Acknowledged, Evidence, FailureKind, Retry
from router.contract.retry import RetrySchedule

START = datetime(2030, 1, 1, tzinfo=UTC)
IN_FLIGHT = 100
CHUNK_LIMIT = 200
CHUNKS = 3
POSTS_PER_SECOND = 50
DEADLINE_SECONDS = 20
MARK_SECONDS = 15
WAITS = Waits(first_seconds=2, maximum_seconds=120)
THRESHOLD = 5

Answer = Acknowledged | Retry
OK = Acknowledged()
REFUSED = Retry(Evidence("422"))
TROUBLED = Retry(Evidence("500"), kind=FailureKind.TROUBLED)
SILENT = Retry(Evidence("TimedOut"), kind=FailureKind.SILENT)


def asked(seconds: float) -> Retry:
    """429 or 503 with Retry-After."""
    return replace(TROUBLED, after_seconds=seconds, is_asked=True)


#: Seconds since the start, the event → the answer.
Behaviour = Callable[[float, "Event"], Answer]


@dataclass(eq=False)
class Event:
    """An event that the subscriber is owed; `kind` is what a well receiver answers."""

    number: int
    kind: Answer = OK
    arrives_at: float = 0.0
    due_at: float = 0.0
    past: Past = field(default_factory=Past)
    state: str = "pending"
    done_at: float | None = None
    tries: int = 0
    answers: list[float] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return self.kind is OK


@dataclass(frozen=True, order=True)
class Post:
    """An attempt under way, in the order of its answer."""

    ends_at: float
    number: int
    began_at: float = field(compare=False)
    epoch: int = field(compare=False)
    chunk: int = field(compare=False)


def moment(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def seconds_of(when: datetime | None) -> float:
    return (when - START).total_seconds() if when else -1e9


class Simulation:
    """Runs until everything is settled, or `until`."""

    def __init__(
        self,
        kinds: Iterable[Event],
        behave: Behaviour,
        *,
        schedule: RetrySchedule,
        seed: int = 0,
        posts_per_second: float = POSTS_PER_SECOND,
    ) -> None:
        self.events = list(kinds)
        self.behave = behave
        self.schedule = schedule
        self.random = random.Random(seed)
        self.service_seconds = 1 / posts_per_second
        self.now = 0.0
        self.posts = 0
        self.openings = 0
        self.breaker = Breaker()
        self.receiver = Receiver()
        self.epoch = 0
        self.incident_since: float | None = None
        self.probe_at = self.not_before = self.busy_until = 0.0
        self.is_disabled = False
        self._chunk = 0
        self._under_way: list[Post] = []
        self._to_come = sorted(self.events, key=lambda event: -event.arrives_at)
        #: Arrived, and neither under way nor settled.
        self._pending: list[Event] = []

    def run(self, until: float) -> Simulation:
        while self.now < until and not self.is_disabled:
            while self._to_come and self._to_come[-1].arrives_at <= self.now:
                event = self._to_come.pop()
                event.due_at = event.arrives_at
                self._pending.append(event)
            if not (self._to_come or self._pending or self._under_way):
                break
            self._send()
            self.now = max(self.now, self._next_moment(until))
            while self._under_way and self._under_way[0].ends_at <= self.now:
                self._answer(heapq.heappop(self._under_way))
        return self

    # What the dispatcher does.

    def _send(self) -> None:
        if self.now < self.not_before:
            return
        if self.breaker.is_open:
            if self.now >= self.probe_at and not self._is_probing():
                self._send_probe()
            return
        chunks = {post.chunk for post in self._under_way}
        if len(chunks) >= (CHUNKS if self.breaker.ramp is None else 1):
            return
        room = IN_FLIGHT - len(self._under_way)
        for event in self._next_chunk(min(room, self.breaker.ramp or CHUNK_LIMIT)):
            self._post(event)
        self._chunk += 1

    def _due(self) -> list[Event]:
        due = [each for each in self._pending if each.due_at <= self.now]
        return sorted(due, key=lambda event: (event.due_at, event.number))

    def _next_chunk(self, size: int) -> list[Event]:
        due = self._due()
        chunk = due[:size]
        retries = [each for each in chunk if each.past.last_failed_at]
        limit = (size + self.random.getrandbits(1)) // 2
        if len(chunk) < size or len(retries) <= limit:
            return chunk
        new = [event for event in due if not event.past.last_failed_at][: size - limit]
        return [*new, *retries[: size - len(new)]]

    def _send_probe(self) -> None:
        due = self._due()
        new = [event for event in due if not event.past.last_failed_at]
        old = [event for event in due if event.past.last_failed_at]
        old.sort(key=lambda event: (event.past.last_failed_at, event.number))
        choices = [self.random.sample(new, len(new[:1])), old[:1]]
        if not self.breaker.wants_new_event():
            choices.reverse()
        for event in (choices[0] or choices[1])[:1]:
            self.probe_at = self.now + MARK_SECONDS
            self._post(event)
            self._chunk += 1

    def _is_probing(self) -> bool:
        return any(post.epoch == self.epoch for post in self._under_way)

    def _post(self, event: Event) -> None:
        self._pending.remove(event)
        event.state, event.tries = "leased", event.tries + 1
        self.posts += 1
        self.busy_until = max(self.busy_until, self.now) + self.service_seconds
        is_silent = self.behave(self.now, event) is SILENT
        ends_at = self.now + DEADLINE_SECONDS if is_silent else self.busy_until
        post = Post(ends_at, event.number, self.now, self.epoch, self._chunk)
        heapq.heappush(self._under_way, post)

    def _next_moment(self, until: float) -> float:
        """When something happens next: an answer, a due event, a probe."""
        moments = [post.ends_at for post in self._under_way[:1]]
        moments += [each.arrives_at for each in self._to_come[-1:]]
        not_before = self.not_before
        if self.breaker.is_open:
            not_before = max(not_before, self.probe_at)
        if self._pending and not (self.breaker.is_open and self._is_probing()):
            due_at = max(not_before, min(each.due_at for each in self._pending))
            moments += [due_at] if due_at > self.now else []
        return min(moments, default=until)

    # What a worker does with an answer.

    def _answer(self, post: Post) -> None:
        event = self.events[post.number]
        answer = self.behave(post.began_at, event)
        event.answers.append(self.now)
        is_late = post.epoch != self.epoch
        if isinstance(answer, Acknowledged):
            self._acknowledge(event, post, is_late=is_late)
        else:
            self._fail(event, answer, is_late=is_late)

    def _acknowledge(self, event: Event, post: Post, *, is_late: bool) -> None:
        event.state, event.done_at = "acknowledged", self.now
        self.receiver = Receiver(
            success_began_at=moment(post.began_at), success_ended_at=moment(self.now)
        )
        if self.breaker.state is BreakerState.CLOSED:
            self.breaker = Breaker()
        elif not is_late:
            self.epoch += self.breaker.is_open
            self.breaker = self.breaker.after_success(
                chunk_limit=CHUNK_LIMIT, has_more=bool(self._due())
            )
            if not self.breaker.ramp:
                self.incident_since = None

    def _fail(self, event: Event, failure: Retry, *, is_late: bool) -> None:
        receiver = replace(
            self.receiver,
            is_in_doubt=is_late or self.breaker.is_open,
            is_failing=len(self.breaker.failed_in_a_row) >= THRESHOLD,
        )
        now = moment(self.now)
        verdict = judge(failure, event.past, receiver, now=now, schedule=self.schedule)
        if not is_late:
            self._move_breaker(event, failure, verdict.is_witnessed, verdict.is_asked)
        event.past = Past(
            failures=event.past.failures + verdict.counts,
            first_failed_at=event.past.first_failed_at or now,
            last_failed_at=now,
            is_witnessed=verdict.is_witnessed,
        )
        if verdict.is_final:
            event.state, event.done_at = "dead", self.now
        else:
            event.state = "pending"
            self._pending.append(event)
            event.due_at = self.now + self._wait(
                event, failure, verdict.counts, verdict.lacks_witness
            )
        if self.breaker.is_open and not is_late:
            self._end_if_too_long(failure.kind)

    def _wait(
        self, event: Event, failure: Retry, counts: bool, lacks_witness: bool
    ) -> float:
        if failure.after_seconds is not None:
            return failure.after_seconds
        if not counts and self.breaker.is_open:
            return 0.0
        if lacks_witness:
            return WAITS.maximum_seconds
        return self.schedule.table_wait_seconds(event.past.failures)

    def _move_breaker(
        self, event: Event, failure: Retry, is_witnessed: bool, is_asked: bool
    ) -> None:
        if self.breaker.is_open:
            self.breaker, wait = self.breaker.after_probe(failure.kind, WAITS)
            self.probe_at = self.now + self._jittered(wait)
        elif not is_asked:
            is_recent = self.now - seconds_of(self.receiver.success_ended_at)
            self.breaker = self.breaker.after_failure(
                event.number,
                failure.kind,
                is_witnessed=is_witnessed,
                is_recent=is_recent < RECENTLY.total_seconds(),
                threshold=THRESHOLD,
            )
            if self.breaker.is_open:
                self.openings += 1
                self.epoch += 1
                self.probe_at = self.now + self._jittered(WAITS.first_seconds)
                if self.incident_since is None:
                    self.incident_since = self.now
        if is_asked:
            self.not_before = self.now + (failure.after_seconds or 0)
            if not self.breaker.is_open:
                self.epoch += 1
                self.breaker = Breaker(state=BreakerState.DRAINING, ramp=1)

    def _end_if_too_long(self, kind: FailureKind) -> None:
        since = self.now - self.schedule.give_up_after_seconds
        last = seconds_of(self.receiver.success_ended_at)
        if self.incident_since is None or self.incident_since > since or last > since:
            return
        failed = [each for each in self._pending if each.past.last_failed_at]
        others = [each for each in failed if not each.past.is_witnessed]
        end = end_of_outage(kind, failing_count=len(others))
        self.is_disabled = end is not End.GIVE_UP_FAILED
        for event in failed:
            if end is End.GIVE_UP_FAILED or (
                end is End.GIVE_UP_WITNESSED and event.past.is_witnessed
            ):
                event.state, event.done_at = "dead", self.now
                self._pending.remove(event)
        if not self.is_disabled:
            self.epoch += 1
            self.incident_since = None
            self.breaker = Breaker(state=BreakerState.DRAINING, ramp=1)

    def _jittered(self, seconds: float) -> float:
        return seconds * self.random.uniform(0.8, 1.2)

    # What came of it.

    def of(self, *, is_good: bool, state: str) -> list[Event]:
        return [
            event
            for event in self.events
            if event.is_good is is_good and event.state == state
        ]

    @property
    def last_good_at(self) -> float:
        """When the last good event was acknowledged; endless, if one was not."""
        good = [event for event in self.events if event.is_good]
        if any(each.state != "acknowledged" for each in good):
            return float("inf")
        return max(each.done_at or 0.0 for each in good)
