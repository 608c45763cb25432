"""The form of a target, made of the fields that its kind of foreign router has."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from pydantic.fields import FieldInfo

from router.contract.masking import HIDDEN, is_secret_name
from router.display import in_english
from router.transports.kinds import KINDS

KEPT = _("Kept as it is")
REMOVE = "-remove"
SHOWN_IN_PART = _("What is shown as … is kept while the rest stays as it is.")


class TargetForm(forms.Form):
    """What a person enters for one kind; the kind itself checks it.

    A secret is never shown: its field is empty, and an empty field keeps it.
    """

    def __init__(
        self, kind: str, data: QueryDict | None, *, before: Mapping[str, Any]
    ) -> None:
        """`before` is the target as it is shown; empty for a new one."""
        super().__init__(data, initial=dict(before), prefix=kind)
        self._model = KINDS[kind].target
        self.title = KINDS[kind].title
        self._kept = {name for name in before if is_secret_name(name) and before[name]}
        fields = self._model.model_fields
        for name in sorted(fields, key=lambda name: not fields[name].is_required()):
            info = fields[name]
            if len(_choices(info)) == 1:
                continue
            self.fields[name] = _field(name, info)
            if name in self._kept:
                self._offer_to_remove(name)
            elif HIDDEN in str(before.get(name)):
                field = self.fields[name]
                field.help_text = f"{field.help_text} {SHOWN_IN_PART}".strip()

    def target(self) -> dict[str, Any]:
        """What is not as a field left out has it; `…` for a secret that is kept."""
        values = self.cleaned_data
        entered = {
            name: values[name]
            for name, info in self._model.model_fields.items()
            if values.get(name) and values[name] != info.default
        }
        kept = {name for name in self._kept if not values[name + REMOVE]}
        return {**dict.fromkeys(kept, HIDDEN), **entered}

    def refuse(self, name: str, problem: str) -> None:
        """Show what is wrong at the field of this name, or above all of them."""
        field = self.fields.get(name)
        words = f"{field.label if field else name} {problem}".strip()
        self.add_error(name if field else None, in_english(f"{words}."))

    def get_initial_for_field(self, field: forms.Field, field_name: str) -> Any:
        if is_secret_name(field_name):
            return None
        return super().get_initial_for_field(field, field_name)

    def _offer_to_remove(self, name: str) -> None:
        field = self.fields[name]
        field.widget.attrs["placeholder"] = KEPT
        self.fields[name + REMOVE] = forms.BooleanField(
            label=gettext("Remove: %(field)s") % {"field": field.label},
            required=False,
        )


def _field(name: str, info: FieldInfo) -> forms.Field:
    needed = gettext("Required.") if info.is_required() else ""
    description = gettext(info.description) if info.description else ""
    options: dict[str, Any] = {
        "label": gettext(info.title or name),
        "required": False,
        "help_text": f"{needed} {description}".strip(),
        "initial": None if info.is_required() else info.default,
    }
    if choices := _choices(info):
        pairs = [(choice or "", choice or gettext("None")) for choice in choices]
        return forms.ChoiceField(choices=pairs, **options)
    if info.annotation is int:
        return forms.IntegerField(**options)
    if get_origin(info.annotation) is dict:
        return forms.JSONField(widget=_lines(), **options)
    has_lines = info.json_schema_extra is not None
    return forms.CharField(widget=_lines() if has_lines else _line(name), **options)


def _choices(info: FieldInfo) -> list[str | None]:
    """The values that a field may have, where they can be listed."""
    kind = info.annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(each) for each in kind]
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if type(None) in get_args(kind):
        return [None, *(value for each in get_args(kind) for value in get_args(each))]
    return []


def _line(name: str) -> forms.Widget:
    """A secret that was typed a moment ago stays in the form, so that a target can be
    tried and saved then; one that is kept never comes here."""
    if is_secret_name(name):
        return forms.PasswordInput({"autocomplete": "new-password"}, render_value=True)
    return forms.TextInput({"autocomplete": "off", "spellcheck": "false"})


def _lines() -> forms.Textarea:
    return forms.Textarea({"rows": 3, "autocomplete": "off", "spellcheck": "false"})
