"""What was done, and what was not, in the owner's words."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from router.contract.errors import RouterError
from router.display import in_english

#: What the address of a page says was done → the words; nothing else is shown of it.
NEWS: dict[str, str | Promise] = {
    "address": _("The address is saved. Events go there from now on."),
    "types": _("The event types are saved. They hold for events from now on."),
    "rotated": _("There is a new signing secret. The old one signs too for a while."),
    "tested": _("A test event is on its way. It appears among the attempts."),
    "paused": _("The endpoint is paused. Its events are kept."),
    "resumed": _("The endpoint is resumed. Kept events are sent now."),
    "recovering": _("Recovery has begun. Events that were given up are sent again."),
    "resent": _("The event is sent again."),
    "revoked": _("The pull key is revoked. It opens nothing any more."),
}


def refusal(error: RouterError) -> SafeString | str:
    """Why something was not done; problems of single fields are in English."""
    return in_english(error) if getattr(error, "problems", None) else str(error)
