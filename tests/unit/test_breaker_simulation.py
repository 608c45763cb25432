"""The breaker's rule as a whole, over hours and days of virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from router.contract.retry import RetrySchedule
from tests.unit.receiver_simulation import (
    OK,
    REFUSED,
    SILENT,
    TROUBLED,
    Answer,
    Behaviour,
    Event,
    Simulation,
    asked,
)

pytestmark = pytest.mark.long

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
QUICK = RetrySchedule(max_failures=3, waits_seconds=(2, 5, 10))
HANDLER = RetrySchedule(max_failures=8, waits_seconds=(1, 2, 4, 8, 16, 32, 64))
WEBHOOK = RetrySchedule(
    max_failures=10,
    waits_seconds=(5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400),
)
SCHEDULES = {"quick": QUICK, "handler": HANDLER, "webhook": WEBHOOK}
SEEDS = range(2)

Kinds = Callable[[random.Random], list[Answer]]


def backlog(kinds: list[Answer]) -> list[Event]:
    return [Event(number, kind) for number, kind in enumerate(kinds)]


def flow(count: int, every: float, *, poison_every: int = 0) -> list[Event]:
    """An event each `every` seconds; some of them are refused for ever."""
    return [
        Event(
            number,
            REFUSED if poison_every and number % poison_every == 7 else OK,
            number * every,
        )
        for number in range(count)
    ]


def well(now: float, event: Event) -> Answer:
    return event.kind


def down(answer: Answer, *, since: float, until: float) -> Behaviour:
    return lambda now, event: answer if since <= now < until else event.kind


def bad(rnd: random.Random) -> Answer:
    return rnd.choice([REFUSED, TROUBLED])


def mixed(good: int, total: int) -> Kinds:
    def kinds(rnd: random.Random) -> list[Answer]:
        some = [OK] * good + [bad(rnd) for _ in range(total - good)]
        return rnd.sample(some, total)

    return kinds


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("kinds", "limit_seconds"),
    [
        (lambda rnd: [OK if n % 9 else bad(rnd) for n in range(1500)], 60),
        (lambda rnd: [bad(rnd) for _ in range(50)] + [OK] * 100, 20),
        (lambda rnd: [bad(rnd) if n % 6 else OK for n in range(300)], 20),
        (mixed(100, 200), 20),
        (mixed(100, 1000), 300),
        # Each time-out keeps one of a hundred places for twenty seconds.
        (lambda rnd: [OK if n % 9 else SILENT for n in range(300)], 60),
    ],
    ids=[
        "one bad in nine",
        "fifty bad first",
        "five bad in six",
        "half bad",
        "nine bad in ten",
        "one time-out in nine",
    ],
)
def test_good_events_behind_bad_ones_reach_a_receiver_that_is_well(
    kinds: Kinds, limit_seconds: float, seed: int
) -> None:
    events = backlog(kinds(random.Random(seed)))
    simulation = Simulation(events, well, schedule=QUICK, seed=seed).run(HOUR)

    assert simulation.last_good_at <= limit_seconds
    assert not simulation.of(is_good=True, state="dead")


@pytest.mark.parametrize("seed", SEEDS)
def test_one_bad_in_nine_never_opens_the_breaker_and_each_is_given_up(
    seed: int,
) -> None:
    rnd = random.Random(seed)
    events = backlog([OK if n % 9 else bad(rnd) for n in range(1500)])
    simulation = Simulation(events, well, schedule=QUICK, seed=seed).run(HOUR)

    dead = simulation.of(is_good=False, state="dead")
    assert simulation.openings == 0
    assert len(dead) == 167
    assert {each.tries for each in dead} == {3}
    assert simulation.now < MINUTE


@pytest.mark.parametrize("kind", [REFUSED, TROUBLED], ids=["422", "500"])
@pytest.mark.parametrize("max_failures", [2, 4])
def test_one_bad_event_among_good_ones_is_given_up_at_max_failures(
    kind: Answer, max_failures: int
) -> None:
    schedule = RetrySchedule(max_failures=max_failures, waits_seconds=(4,))
    events = backlog([kind] + [OK] * 59)
    simulation = Simulation(events, well, schedule=schedule).run(HOUR)

    assert events[0].state == "dead"
    assert events[0].tries == max_failures
    assert simulation.last_good_at < 5


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("answer", [SILENT, TROUBLED], ids=["silent", "500"])
def test_three_days_of_outage_give_up_nothing(name: str, answer: Answer) -> None:
    events = flow(160, 5, poison_every=20)
    outage = down(answer, since=300, until=72 * HOUR)
    simulation = Simulation(events, outage, schedule=SCHEDULES[name]).run(200 * HOUR)

    assert simulation.last_good_at < 72 * HOUR + 5 * MINUTE
    assert len(simulation.of(is_good=False, state="dead")) == 8
    assert simulation.openings == 1


@pytest.mark.parametrize("name", ["handler", "webhook"])
def test_three_days_of_404_to_everything_give_up_nothing(name: str) -> None:
    events = flow(160, 5, poison_every=20)
    outage = down(REFUSED, since=300, until=72 * HOUR)
    simulation = Simulation(events, outage, schedule=SCHEDULES[name]).run(200 * HOUR)

    assert simulation.last_good_at < 72 * HOUR + 5 * MINUTE
    assert len(simulation.of(is_good=False, state="dead")) == 8


def test_the_first_few_refusals_die_on_a_short_schedule_and_no_more() -> None:
    outage = down(REFUSED, since=600, until=72 * HOUR)
    simulation = Simulation(flow(160, 5), outage, schedule=QUICK).run(200 * HOUR)

    # Fewer than open a breaker are no proof that the receiver refuses all.
    assert len(simulation.of(is_good=True, state="dead")) < 5
    assert not simulation.of(is_good=True, state="pending")


@pytest.mark.parametrize("answer", [SILENT, TROUBLED], ids=["silent", "500"])
@pytest.mark.parametrize(
    ("every", "count", "since", "until"),
    [
        (MINUTE, 900, HOUR, 13 * HOUR),
        (10 * MINUTE, 600, HOUR, 73 * HOUR),
        (DAY, 8, 2 * DAY - 60, 5 * DAY - 100),
        # One event is owed when it begins, and nothing else is for an hour.
        (HOUR, 4, HOUR - 1, 2 * HOUR - 60),
    ],
    ids=["one a minute", "one in ten minutes", "one a day", "one alone"],
)
def test_a_quiet_flow_loses_nothing_to_an_outage(
    every: float, count: int, since: float, until: float, answer: Answer
) -> None:
    outage = down(answer, since=since, until=until)
    events = flow(count, every)
    simulation = Simulation(events, outage, schedule=QUICK).run(20 * DAY)

    assert not simulation.of(is_good=True, state="dead")
    assert simulation.last_good_at <= max(until, events[-1].arrives_at) + 5 * MINUTE


def test_a_receiver_that_answered_500_and_is_back_is_found_within_half_a_minute() -> (
    None
):
    for end in range(200, 560, 20):
        outage = down(TROUBLED, since=0, until=end)
        simulation = Simulation(backlog([OK] * 20), outage, schedule=WEBHOOK)
        simulation.run(HOUR)

        first = min(event.done_at or HOUR for event in simulation.events)
        assert end <= first < end + 45


def test_an_outage_costs_few_posts() -> None:
    outage = down(SILENT, since=0, until=72 * HOUR)
    simulation = Simulation(backlog([OK] * 300), outage, schedule=WEBHOOK)
    simulation.run(71 * HOUR)

    # What was under way at once when it began; then one in two minutes.
    assert simulation.posts < 300 + 72 * 35


@pytest.mark.parametrize("answer", [SILENT, TROUBLED], ids=["silent", "500"])
def test_a_receiver_that_comes_and_goes_gets_everything(answer: Answer) -> None:
    def flapping(now: float, event: Event) -> Answer:
        return answer if int(now / 600) % 2 else event.kind

    events = flow(2000, 3, poison_every=50)
    simulation = Simulation(events, flapping, schedule=HANDLER).run(10 * HOUR)

    assert not simulation.of(is_good=True, state="dead")
    assert simulation.last_good_at < 2000 * 3 + 15 * MINUTE
    assert len(simulation.of(is_good=False, state="dead")) == 40


@pytest.mark.parametrize("seconds", [1, 60, 3600])
def test_a_receiver_that_asks_for_time_gets_it_and_loses_nothing(
    seconds: float,
) -> None:
    end = 70 * HOUR if seconds == 3600 else HOUR
    outage = down(asked(seconds), since=10, until=end)
    simulation = Simulation(flow(200, 1), outage, schedule=QUICK).run(80 * HOUR)

    assert not simulation.of(is_good=True, state="dead")
    assert simulation.last_good_at < end + seconds + MINUTE
    # Ten a second at first, and one post each time that it asks for.
    assert simulation.posts < 2 * (200 + (end / seconds))


def test_a_limit_of_a_few_posts_a_second_is_kept_by_asking() -> None:
    """429 with Retry-After to all but the first five of each second."""
    served: dict[int, int] = {}

    def limited(now: float, event: Event) -> Answer:
        if event.answers and event.state == "leased":
            return event.kind
        served[int(now)] = served.get(int(now), 0) + 1
        return event.kind if served[int(now)] <= 10 else asked(1)

    simulation = Simulation(backlog([OK] * 300), limited, schedule=QUICK).run(HOUR)

    assert simulation.last_good_at < 5 * MINUTE
    assert simulation.openings == 0


def test_what_is_refused_for_longer_than_patience_is_held_and_the_rest_kept() -> None:
    outage = down(REFUSED, since=0, until=1000 * HOUR)
    simulation = Simulation(backlog([OK] * 50), outage, schedule=WEBHOOK)
    simulation.run(90 * HOUR)

    assert simulation.is_disabled
    assert 75 * HOUR <= simulation.now < 76 * HOUR
    assert len(simulation.of(is_good=True, state="pending")) == 50


def test_a_few_events_that_fail_for_longer_than_patience_are_given_up() -> None:
    simulation = Simulation(backlog([TROUBLED] * 3), well, schedule=QUICK)
    simulation.run(90 * HOUR)

    assert not simulation.is_disabled
    assert len(simulation.of(is_good=False, state="dead")) == 3
    assert 75 * HOUR <= simulation.now < 76 * HOUR


def test_a_few_events_that_a_silent_receiver_never_took_are_kept() -> None:
    simulation = Simulation(backlog([SILENT] * 3), well, schedule=QUICK)
    simulation.run(90 * HOUR)

    assert simulation.is_disabled
    assert not simulation.of(is_good=False, state="dead")
