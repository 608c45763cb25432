"""The router's errors: the docstring is the default message.

RouterError
├── InvalidEvent          what was to be published breaks the envelope's rules
│   ├── SchemaViolation   the data does not fit the type's JSON Schema
│   └── EventTooLarge
├── EventConflict         the same (source, id) with another body or envelope
├── BatchRefused          an event of a batch is refused, and so all are
├── InvalidSchema         what was to describe a type is no JSON Schema
├── SchemaConflict        the same $id with another schema
├── DowngradeFailed       an event can't be had in the version that a subscriber pins
├── CausationTooDeep      an event caused by an event … more than 32 deep
├── InvalidSubscriber     a subscriber's options are wrong
├── NameTaken             another subscriber, or API key, has this name
├── TooManySubscribers    as many subscribers as may be exist already
├── TooManySecrets        a rotation, while as many secrets sign as may
├── NotManaged            the subscriber is declared in code, and changed there
├── InvalidRun            a run's part of the log, or another option, is wrong
├── InvalidWindow         a window of positions is none that can be counted
├── NotConfirmed          a replay for a handler that may do its work twice
├── NotOpen               the failed task was settled by somebody else
├── NotResendable         the delivery can't be owed once more
├── DoesNotApply          an operator's act, in a state that it is not meant for
├── LeaseLost             the delivery is not ours any more
└── NotPulling            a pull for a subscriber that is gone or does not pull
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice

#: Of an event or a batch: nobody reads more.
MAX_PROBLEMS = 100
#: In a message, which has them beside each other.
MAX_NAMED = 5


def named(problems: Sequence[tuple[str, str]]) -> str:
    """The first of these pairs of JSON pointer and problem, as text."""
    return "; ".join(f"{pointer} {detail}" for pointer, detail in problems[:MAX_NAMED])


class RouterError(Exception):
    """The router could not do what was asked."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class _Pointed(RouterError):
    def __init__(
        self, message: str = "", *, problems: Sequence[tuple[str, str]] = ()
    ) -> None:
        super().__init__(message)
        #: Pairs of JSON pointer (RFC 6901), and what is wrong there.
        self.problems = tuple(problems[:MAX_PROBLEMS])


class InvalidEvent(_Pointed):
    """The event breaks the envelope's rules."""


class SchemaViolation(InvalidEvent):
    """The data does not fit the JSON Schema of its type."""


class EventTooLarge(InvalidEvent):
    """The event is larger than ROUTER["MAX_EVENT_BYTES"] allows."""


class EventConflict(RouterError):
    """An event with this source and id exists, with another body or envelope."""


class BatchRefused(_Pointed):
    """An event of the batch is refused, and so all are."""

    def __init__(self, refused: Mapping[int, RouterError]) -> None:
        #: Index of each event that is refused → why.
        self.refused = dict(refused)
        index, self.first = next(iter(refused.items()))
        every_problem = chain.from_iterable(
            _within(number, error) for number, error in refused.items()
        )
        super().__init__(
            f"Nothing was recorded. Event {index} of the batch: {self.first}",
            problems=tuple(islice(every_problem, MAX_PROBLEMS)),
        )


def _within(index: int, error: RouterError) -> Sequence[tuple[str, str]]:
    """The problems of one entry, pointed at from the batch."""
    problems = getattr(error, "problems", ()) or [("", str(error))]
    return [(f"/{index}{pointer}", problem) for pointer, problem in problems]


class InvalidSchema(_Pointed):
    """This is no JSON Schema."""


class SchemaConflict(RouterError):
    """This $id names another schema."""


class DowngradeFailed(RouterError):
    """This event can't be made into the version that the subscriber pins."""


class CausationTooDeep(RouterError):
    """This event is the end of a chain of causes deeper than 32: events in a circle."""


class InvalidSubscriber(_Pointed):
    """The options of a subscriber are wrong."""


class NameTaken(RouterError):
    """This name is taken already; choose another."""


class TooManySubscribers(RouterError):
    """As many subscribers as may be exist already."""


class TooManySecrets(RouterError):
    """As many secrets sign this subscriber's webhooks as may."""


class NotManaged(RouterError):
    """This subscriber is declared in code: change it there, and restart."""


class InvalidRun(_Pointed):
    """The part of the log, or another option of a run, is wrong."""


class InvalidWindow(_Pointed):
    """The window of positions is not as it must be."""


class NotConfirmed(RouterError):
    """This would run a handler again that does not say it is idempotent."""


class NotOpen(RouterError):
    """This failed task has already been settled."""


class NotResendable(RouterError):
    """This delivery can't be owed once more."""


class DoesNotApply(RouterError):
    """This does not apply to the present state."""


class LeaseLost(RouterError):
    """The lease on a delivery ran out or was taken back."""


class NotPulling(RouterError):
    """This subscriber does not pull."""
