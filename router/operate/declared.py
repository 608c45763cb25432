"""Declared subscribers become rows; operators pause and resume them.

Creating and re-filtering take the head's lock, so that the answer to "is this event
owed to this subscriber" never depends on a race with routing.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from router.conf import conf
from router.contract.dialects import filter_problems
from router.contract.errors import InvalidSubscriber, named
from router.flow import audit
from router.flow.breaker import breaker
from router.flow.cursor import turn
from router.flow.heartbeats import is_older_release_alive
from router.flow.route.head import lock_head
from router.flow.route.periods import begin_period
from router.flow.route.streaming import (
    is_to_stream,
    place_cursor,
    start_streaming,
    stop_streaming,
)
from router.models import (
    Clock,
    Cursor,
    LogHead,
    OnDead,
    Ordering,
    Subscriber,
    SubscriberState,
    Transport,
)
from router.operate.starting import start_subscriber
from router.operate.switch_ordering import pass_the_dead, switch_ordering
from router.registry import Declaration, declared, former_name_problem

logger = logging.getLogger(__name__)


def register_declared() -> None:
    """Bring the rows in line with the declarations; what people set stays.

    Raises `InvalidSubscriber` for a filter that is none, or a wrong former name.
    """
    for declaration in declared():
        _refuse_wrong_filter(declaration)
        _refuse_wrong_former_name(declaration)
    with transaction.atomic():
        head = lock_head()
        if _is_any_to_stream():
            turn.wait_for_claims()
        for declaration in declared():
            _register(declaration, head)


@transaction.atomic
def pause(subscriber_id: int, *, reason: str, by: str) -> bool:
    """Hold what is owed until an operator resumes; False when it is held already."""
    changed = Subscriber.objects.known().filter(
        pk=subscriber_id, state=SubscriberState.ACTIVE
    )
    state_reason = f"{reason} ({by})" if reason else f"Paused by {by}"
    is_paused = _set_state(changed, SubscriberState.PAUSED, state_reason[:500])
    if is_paused:
        _note("subscriber.paused", subscriber_id, by=by, reason=reason)
    return is_paused


@transaction.atomic
def resume(subscriber_id: int, *, by: str, reason: str = "") -> bool:
    """Send what was held; False when it was not held."""
    turn.ring_again(subscriber_id)
    held = (
        Subscriber.objects.known()
        .filter(pk=subscriber_id)
        .exclude(state=SubscriberState.ACTIVE)
    )
    # A puller paces itself: there is no ramp for it.
    is_puller = held.filter(transport=Transport.PULL).exists()
    changes = breaker.UNTRIED if is_puller else breaker.DRAINING
    is_resumed = _set_state(held, SubscriberState.ACTIVE, "", **changes)
    if is_resumed:
        _note("subscriber.resumed", subscriber_id, by=by, reason=reason)
        logger.info("Subscriber %s was resumed by %s", subscriber_id, by)
    return is_resumed


def _note(action: str, subscriber_id: int, *, by: str, reason: str) -> None:
    row = Subscriber.objects.only("name").get(pk=subscriber_id)
    audit.note(action, row, by=by, reason=reason)


def _set_state(
    subscribers: QuerySet[Subscriber],
    state: SubscriberState,
    reason: str,
    **changes: Any,
) -> bool:
    return bool(
        subscribers.update(
            state=state,
            state_reason=reason,
            state_changed_at=Clock(),
            is_held_for_setup=False,
            **changes,
        )
    )


def _refuse_wrong_filter(declaration: Declaration) -> None:
    """A system check says it too, but a command may skip the checks."""
    if declaration.filter is None:
        return
    if problems := filter_problems(declaration.filter):
        message = f"@subscriber({declaration.name!r}): `filter` {named(problems)}."
        raise InvalidSubscriber(message, problems=problems)


def _refuse_wrong_former_name(declaration: Declaration) -> None:
    if problem := former_name_problem(declaration):
        raise InvalidSubscriber(f"@subscriber({declaration.name!r}): {problem}.")


def _is_any_to_stream() -> bool:
    """Whether a subscriber that got deliveries so far may begin to be streamed."""
    names = [
        name
        for each in declared()
        for name in (each.name, each.formerly)
        if each.is_transactional
        and not each.is_safe_concurrently
        and each.ordering == Ordering.NONE
    ]
    by_row = Subscriber.objects.known().filter(name__in=names, is_streamed=False)
    return conf().stream and by_row.exists()


def _register(declaration: Declaration, head: LogHead) -> None:
    former = _former(declaration)
    subscriber, is_new = Subscriber.objects.known().get_or_create(
        name=former.name if former else declaration.name,
        defaults={"live_from": head.position, **_declared_fields(declaration)},
    )
    if subscriber.transport != Transport.HANDLER:
        logger.error(
            "@subscriber(%r) is ignored: a subscriber of that name is managed by "
            "people; rename one of them",
            declaration.name,
        )
        return
    if not is_new:
        _bring_in_line(subscriber, declaration)
        subscriber.refresh_from_db(from_queryset=Subscriber.objects.known())
    else:
        start_subscriber(subscriber, head, declaration.start, by=audit.ROUTER)
    _serve_as_declared(subscriber, head)
    _hold_until_set_up(subscriber, declaration)


def _former(declaration: Declaration) -> Subscriber | None:
    """The subscriber that goes on under the new name, where there is none of that."""
    known = Subscriber.objects.known()
    if not declaration.formerly or known.filter(name=declaration.name).exists():
        return None
    handlers = known.filter(transport=Transport.HANDLER)
    return handlers.filter(name=declaration.formerly).first()


def _bring_in_line(subscriber: Subscriber, declaration: Declaration) -> None:
    turn.lock(subscriber.pk)
    fields = _declared_fields(declaration)
    if declaration.ordering != subscriber.ordering and not _switch(
        subscriber, Ordering(declaration.ordering)
    ):
        del fields["ordering"]
    Subscriber.objects.filter(pk=subscriber.pk).update(**fields)
    if subscriber.name != declaration.name:
        audit.note(
            "subscriber.renamed",
            Subscriber.objects.only("name").get(pk=subscriber.pk),
            by=audit.ROUTER,
            detail=f"formerly {subscriber.name}",
        )
    if subscriber.on_dead == OnDead.HOLD and declaration.on_dead != OnDead.HOLD:
        # Once the row is locked: what dies now waits for it, and reads it then.
        pass_the_dead(subscriber.pk)


def _switch(subscriber: Subscriber, ordering: Ordering) -> bool:
    """Begin or end its order; False where too much is open: an error would keep the
    dispatcher, which lets it be delivered, from starting."""
    # The dispatcher that fills the window reads the subscriber under this lock.
    cursors = Cursor.objects.select_for_update().filter(subscriber=subscriber)
    list(cursors.values_list("pk"))
    try:
        switch_ordering(subscriber.pk, ordering)
    except InvalidSubscriber as error:
        logger.warning(
            "@subscriber(%r) has no order until the next registration: %s",
            subscriber.name,
            error,
        )
        return False
    return True


def _serve_as_declared(subscriber: Subscriber, head: LogHead) -> None:
    place_cursor(subscriber, head)
    begin_period(subscriber, head)
    is_wanted = is_to_stream(subscriber)
    if subscriber.is_streamed and not is_wanted:
        stop_streaming(subscriber)
    # Beside an older release a dispatcher begins it later.
    if is_wanted and not (subscriber.is_streamed or is_older_release_alive()):
        start_streaming(subscriber, head)


def _declared_fields(declaration: Declaration) -> dict[str, object]:
    schedule = {
        "first_seconds": declaration.retry_first_seconds,
        "maximum_seconds": declaration.retry_maximum_seconds,
        "max_failures": declaration.max_failures,
    }
    return {
        "name": declaration.name,
        "title": declaration.title,
        "events": list(declaration.events),
        "filter": declaration.filter,
        "dataschemas": dict(declaration.dataschemas),
        "ordering": declaration.ordering,
        "on_dead": declaration.on_dead,
        "queue": declaration.queue,
        "is_transactional": declaration.is_transactional,
        "is_safe_concurrently": declaration.is_safe_concurrently,
        "declared_schedule": {
            name: value for name, value in schedule.items() if value is not None
        },
    }


def _hold_until_set_up(subscriber: Subscriber, declaration: Declaration) -> None:
    hint = declaration.missing() if declaration.missing else None
    rows = Subscriber.objects.filter(pk=subscriber.pk)
    if hint:
        rows.filter(state=SubscriberState.ACTIVE).update(
            state=SubscriberState.PAUSED,
            state_reason=hint[:500],
            state_changed_at=Clock(),
            is_held_for_setup=True,
        )
    else:
        _set_state(rows.filter(is_held_for_setup=True), SubscriberState.ACTIVE, "")
