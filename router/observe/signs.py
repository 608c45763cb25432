"""Whether database, dispatcher, workers, broker and bridges work, by heartbeats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext

from router.conf import conf
from router.flow.dispatch.queues import unserved_queues
from router.flow.heartbeats import served_queues
from router.models import Heartbeat
from router.observe.wording import grouped, relative

#: What starts a process of each kind.
COMMANDS = {
    Heartbeat.Kind.DISPATCHER: "manage.py dispatch",
    Heartbeat.Kind.WORKER: "celery -A <project> worker",
}
#: Heartbeats that are read; those of killed processes stay for a day.
MAX_BEATS = 100


@dataclass(frozen=True, kw_only=True)
class Sign:
    """One kind of process of the router, or a server, and whether it works."""

    name: str
    #: `alive`, `silent`, `disconnected`, `lacking` (a part of it), or `unknown`.
    state: str
    text: str
    beat_at: datetime | None = None


def signs_of_life() -> list[Sign]:
    """Dispatcher, workers, the broker as the dispatcher saw it, bridges, database."""
    beats = list(Heartbeat.objects.order_by("-beat_at")[:MAX_BEATS])
    oldest = timezone.now() - timedelta(seconds=conf().stale_after_seconds)
    alive = [beat for beat in beats if beat.beat_at >= oldest]
    return [
        _sign(gettext("Dispatcher"), Heartbeat.Kind.DISPATCHER, beats, alive),
        _workers(beats, alive),
        _broker_sign(alive),
        *(_bridge_sign(name, beats, alive) for name in conf().bridges),
        _database(),
    ]


def _sign(
    name: str, kind: Heartbeat.Kind, beats: list[Heartbeat], alive: list[Heartbeat]
) -> Sign:
    seen = [beat for beat in beats if beat.kind == kind]
    living = sum(beat.kind == kind for beat in alive)
    beat_at = seen[0].beat_at if seen else None
    if living:
        text = gettext("%(count)s running") % {"count": living}
        return Sign(name=name, state="alive", text=text, beat_at=beat_at)
    text = gettext("None runs. Start `%(command)s`.") % {"command": COMMANDS[kind]}
    return Sign(name=name, state="silent", text=text, beat_at=beat_at)


def _workers(beats: list[Heartbeat], alive: list[Heartbeat]) -> Sign:
    kind = Heartbeat.Kind.WORKER
    sign = _sign(gettext("Workers"), kind, beats, alive)
    served = served_queues(beat for beat in alive if beat.kind == kind)
    missing = unserved_queues(served) if served else []
    if not missing:
        return sign
    text = gettext(
        "%(running)s, and none takes from %(queues)s. Start `%(command)s`."
    ) % {
        "running": sign.text,
        "queues": ", ".join(missing),
        "command": f"{COMMANDS[kind]} -Q {','.join(missing)}",
    }
    return Sign(name=sign.name, state="lacking", text=text, beat_at=sign.beat_at)


def _bridge_sign(name: str, beats: list[Heartbeat], alive: list[Heartbeat]) -> Sign:
    """What the processes of this bridge wrote: connection, rate, lag, last error."""
    title = gettext("Bridge %(name)s") % {"name": name}
    own = [beat for beat in beats if beat.details.get("bridge") == name]
    living = [beat for beat in own if beat in alive]
    beat_at = own[0].beat_at if own else None
    if not living:
        command = f"manage.py bridge {name}"
        text = gettext("None runs. Start `%(command)s`.") % {"command": command}
        return Sign(name=title, state="silent", text=text, beat_at=beat_at)
    is_connected = all(beat.details["is_connected"] for beat in living)
    return Sign(
        name=title,
        state="alive" if is_connected else "disconnected",
        text=" · ".join(_bridge_facts(living)),
        beat_at=beat_at,
    )


def _bridge_facts(living: list[Heartbeat]) -> Iterator[str]:
    per_minute = sum(beat.details["per_minute"] for beat in living)
    yield gettext("%(published)s in the last minute") % {
        "published": grouped(per_minute)
    }
    details = living[0].details
    if details["waiting"] is not None:
        text = gettext("%(count)s waiting at %(place)s")
        yield text % {"count": grouped(details["waiting"]), "place": details["from"]}
    failed = [beat.details for beat in living if beat.details.get("failed_at")]
    if failed:
        last = max(failed, key=lambda details: str(details["failed_at"]))
        failed_at = datetime.fromisoformat(last["failed_at"])
        since = relative((timezone.now() - failed_at).total_seconds())
        text = gettext("last error %(ago)s: %(error)s")
        yield text % {"ago": since, "error": last["last_error"]}


def _broker_sign(alive: list[Heartbeat]) -> Sign:
    seen = [beat for beat in alive if beat.is_broker_reachable is not None]
    if not seen:
        text = gettext("Unknown while no dispatcher runs.")
        return Sign(name=gettext("Broker"), state="unknown", text=text)
    if seen[0].is_broker_reachable:
        text = gettext("Reachable from the dispatcher")
        return Sign(
            name=gettext("Broker"), state="alive", text=text, beat_at=seen[0].beat_at
        )
    text = gettext("Not reachable: events wait in the database.")
    return Sign(
        name=gettext("Broker"), state="disconnected", text=text, beat_at=seen[0].beat_at
    )


def _database() -> Sign:
    version = ".".join(map(str, connection.get_database_version()))
    database = f"{connection.display_name} {version}"
    text = gettext("%(database)s answers") % {"database": database}
    return Sign(name=gettext("Database"), state="alive", text=text)
