"""What each field of a subscriber means, for the API's description."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

MEANING = {
    "name": "Lower-case letters, digits, `_` and `-`; it stays.",
    "title": "What customers and staff read; left out, the name.",
    "transport": "How it gets its events.",
    "url": "Where webhooks are posted to: https, and no private network. An answer has"
    " `…` in place of the values of its query, and of what looks like a token.",
    "events": "Types or patterns: `purchase.completed`, `purchase.*`, `*`; a type that"
    " contains `*` is selected by `*` and a filter.",
    "filter": "A filter in the dialects of the CloudEvents Subscriptions API: `exact`,"
    " `prefix`, `suffix` over attributes, combined by `all`, `any`, `not`.",
    "allowed_types": "Types that it may hear at most, whatever `events` says:"
    " `parcel.*`, `*` for all. Left out at creation: the key's own types.",
    "allowed_sources": "Sources that it may hear at most: `/partner`, `/shop/*`, `*`"
    " for all. Left out at creation: the key's own sources.",
    "ordering": "Whether events with the same key keep their order.",
    "headers": "Sent with every webhook; kept encrypted, shown by name only.",
    "header_names": "Which headers are sent beside the router's own.",
    "rate_per_second": "Webhooks that may start each second; null: no limit.",
    "in_flight_limit": "Webhooks that may be under way at once; null: the router's"
    " setting.",
    "waits_seconds": "The waits between attempts; the last one repeats; null: the"
    " router's schedule.",
    "max_failures": "Failures that count against an event before a failed task is"
    " opened: refusals, and those beside which the receiver acknowledged other events."
    " The failures of an outage do not count.",
    "in_force": "What holds now, where a field above is null.",
    "state": "Only an active one is delivered to; all are owed.",
    "state_reason": "Why it is paused or disabled.",
    "breaker": "`closed`: it is well; `open`: it fails, what it is owed is held, and"
    " probes look whether it is back; `draining`: it is back, and catches up.",
    "live_from": "At or below this position is history to it, above it live.",
    "last_acknowledged_at": "When it last said yes.",
    "last_failed_at": "When it last did not.",
    "secret": "What its webhooks are signed with: shown this once. Absent, where"  # nosec B105  # a help text
    " none was made.",
}


class Meaning(serializers.Serializer[Any]):
    """Gives each field its words; for serializers of a subscriber."""

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        for name, field in fields.items():
            field.help_text = field.help_text or MEANING.get(name)
        return fields
