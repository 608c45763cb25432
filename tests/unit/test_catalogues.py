"""Every message of store, portal and mails has its words in every language."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest
from django.conf import settings
from django.utils import translation

from tests.catalogues import LANGUAGES, TRANSLATIONS, Translation, compiled, template

PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%[a-z]|</?\w+>")
UPDATE = "run `python -m tests.catalogues`, and translate what is new"


def names(each: Translation) -> str:
    return f"{each.folder}-{each.language}"


each_one = pytest.mark.parametrize("each", TRANSLATIONS, ids=names)


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


@each_one
def test_the_catalogue_has_the_messages_of_the_code(each: Translation) -> None:
    asked = {(message.context, message.id) for message in template(each.folder)}
    kept = {(message.context, message.id) for message in each.read()}
    assert kept == asked, UPDATE


@each_one
def test_every_message_is_translated(each: Translation) -> None:
    messages = [message for message in each.read() if message.id]
    missing = [message.id for message in messages if not all(forms(message.string))]
    assert not missing
    assert not [message.id for message in messages if message.fuzzy]


@each_one
def test_what_django_reads_is_what_the_catalogue_says(each: Translation) -> None:
    assert each.mo.read_bytes() == compiled(each.read()), UPDATE


@each_one
def test_a_translation_keeps_the_places_of_values_and_the_markup(
    each: Translation,
) -> None:
    for message in each.read():
        expected = [sorted(PLACEHOLDER.findall(text)) for text in forms(message.id)]
        for text in forms(message.string) if message.id else ():
            assert sorted(PLACEHOLDER.findall(text)) in expected, message.id


def test_no_french_text_is_the_german_one() -> None:
    """A single word may be the same in both."""
    texts: dict[str, set[object]] = {language: set() for language in LANGUAGES}
    for each in TRANSLATIONS:
        texts[each.language] |= {
            (message.id, message.string)
            for message in each.read()
            if message.string != message.id and " " in forms(message.string)[0]
        }
    assert texts["de"] & texts["fr"] == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_has_one_translation_wherever_it_is(language: str) -> None:
    """Django reads all catalogues as one: the first would win everywhere."""
    found = defaultdict(set)
    for each in TRANSLATIONS:
        for message in each.read() if each.language == language else ():
            if message.id:
                found[message.context, message.id].add(message.string)
    assert {key for key, texts in found.items() if len(texts) > 1} == set()


@each_one
def test_django_shows_this_translation_and_no_other_app_s(each: Translation) -> None:
    kept = {
        message.id: message.string
        for message in each.read()
        if message.id and isinstance(message.id, str) and not message.context
    }
    with translation.override(each.language):
        assert {text: translation.gettext(text) for text in kept} == kept


def test_the_languages_of_the_site_are_those_of_the_catalogues() -> None:
    assert [code for code, _ in settings.LANGUAGES] == ["en", *LANGUAGES]
