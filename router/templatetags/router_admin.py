"""Template tags of the admin's pages."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from router import display
from router.groups import may, needed
from router.observe.last_failure import words_of

register = template.Library()

register.simple_tag(display.badge)
register.simple_tag(display.subscriber_badge)
register.simple_tag(display.delivery_badge)
register.simple_tag(display.outcome_badge)
register.simple_tag(display.ago)
register.simple_tag(display.due)
register.simple_tag(display.at)
register.filter(display.number)
register.filter(display.place)
register.filter(display.owed)
register.filter(display.waiting)
register.filter(display.capped)
register.filter(display.milliseconds)
register.filter(display.seconds)
register.filter(display.waits)
register.filter(display.first_line)
register.filter(display.pretty)
register.filter(words_of)


@register.simple_tag(takes_context=True)
def kept_url(context: Any, name: str, *args: object) -> str:
    """Like `url`, with the filters of the list from which the person came."""
    address: str = add_preserved_filters(context, reverse(name, args=args))
    return address


@register.simple_block_tag(takes_context=True)
def act(
    context: Any,
    content: SafeString,
    permission: str,
    *,
    icon: str = "",
    tone: str = "",
    label: str = "",
    **attributes: str,
) -> SafeString:
    """The button of an act, or its link where `href` is given.

    For a person without the permission it does nothing and says which role it needs.
    It can be focused then, and the reason is part of its name: a button that is
    `disabled` is passed over by the keyboard. `label` is its name where the content
    alone does not say enough.
    """
    if icon:
        drawn = '<span class="material-symbols-outlined" aria-hidden="true">{}</span>{}'
        content = format_html(drawn, icon, content)
    if not may(context["request"], permission):
        return _disabled(content, needed(permission), label)
    if label:
        attributes["aria-label"] = label
    listed = format_html_join("", ' {}="{}"', attributes.items())
    tone_class = f" fan-button-{tone}" if tone else ""
    element = "a" if "href" in attributes else "button"
    return format_html(
        '<{0} class="fan-button{1}"{2}>{3}</{0}>', element, tone_class, listed, content
    )


def _disabled(content: SafeString, reason: str, label: str) -> SafeString:
    name = format_html(' aria-label="{}. {}"', label, reason) if label else ""
    return format_html(
        '<button type="button" class="fan-button" aria-disabled="true"{}>'
        "<span>{}<small>{}</small></span></button>",
        name,
        content,
        reason,
    )


@register.simple_tag(takes_context=True)
def withheld_acts(context: Any, model_admin: Any) -> list[tuple[str, str]]:
    """Label and permission of what the list would offer to a person of another role."""
    request, acts = context["request"], getattr(model_admin, "list_acts", ())
    return [(label, needs) for label, needs in acts if not may(request, needs)]
