"""What becomes of events that a subscriber refuses for one of three causes each."""

from __future__ import annotations

TAKEN, MEMBER, POINTS, CAMPAIGN = "taken", "member", "points", "campaign"
#: What becomes of one event after the other. A receiver that takes nothing at all is
#: unreachable, and what it is owed is held.
ROUND = (
    MEMBER, MEMBER, POINTS, MEMBER, CAMPAIGN, TAKEN, MEMBER, POINTS, MEMBER, POINTS,
    MEMBER,
)  # fmt: skip
#: What the subscriber says.
WORDS = {
    MEMBER: "member {number} is unknown",
    POINTS: "{number} points: must be positive",
    CAMPAIGN: "the campaign was over when member {number} bought",
}
