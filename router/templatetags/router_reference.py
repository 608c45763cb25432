"""`{{ description|prose }}`: the little markup that descriptions have."""

from __future__ import annotations

import re

from django import template
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

CODE = re.compile(r"(`+)(.+?)\1", re.DOTALL)
BULLET = re.compile(r"^\s*[*-] ", re.MULTILINE)


@register.filter
def prose(text: str) -> SafeString:
    """Paragraphs, lists and `code`; all else is shown as it stands."""
    parts = filter(None, (part.strip() for part in re.split(r"\n\s*\n", text)))
    return format_html_join("\n", "{}", ((_part(part),) for part in parts))


def _part(text: str) -> SafeString:
    first, *rest = BULLET.split(text)
    if first.strip() or not rest:
        return format_html("<p>{}</p>", inline(text))
    items = format_html_join("", "<li>{}</li>", ((inline(item),) for item in rest))
    return format_html("<ul>{}</ul>", items)


@register.filter
def inline(text: str) -> SafeString:
    """One line or more of text, its `code` marked up."""
    return mark_safe(CODE.sub(r"<code>\2</code>", conditional_escape(text)))  # nosec B308 B703  # escaped just before
