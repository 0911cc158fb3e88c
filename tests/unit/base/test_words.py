from __future__ import annotations

import json
import string
from importlib import resources

import pytest

from palabre.base.words import LANGUAGES, UnknownKeyError, catalogue, choose_language, say


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_stands_in_every_language_with_the_same_placeholders(language: str) -> None:
    reference, translated = catalogue("en"), catalogue(language)
    assert set(translated) == set(reference)
    for key, sentence in translated.items():
        if not key.endswith(".one"):  # "one person" may do without the figure
            assert placeholders(sentence) == placeholders(reference[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_is_sorted_with_one_key_per_line(language: str) -> None:
    text = resources.files("palabre.base").joinpath(f"locales/{language}.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_no_translation_is_the_english_sentence() -> None:
    english = catalogue("en")
    for language in ("fr", "de"):
        same = [key for key, sentence in catalogue(language).items() if len(sentence) > 24 and sentence == english[key]]
        assert same == []


def test_the_plural_follows_the_count_and_the_language() -> None:
    assert say("en", "bot.invite_failed", count=1, names="@a:b") == "I could not invite @a:b: their server refused."
    assert say("en", "bot.invite_failed", count=2, names="@a:b, @c:d") == "I could not invite 2 people: @a:b, @c:d."


def test_a_missing_sentence_is_an_error_and_not_an_empty_message() -> None:
    with pytest.raises(UnknownKeyError, match=r"bot\.nothing"):
        say("fr", "bot.nothing")


def test_a_parameter_is_never_read_as_a_template() -> None:
    assert "{prefix.__class__}" in say("en", "bot.unknown_command", name="{prefix.__class__}", prefix="!palabre")


@pytest.mark.parametrize(("tag", "language"), [("fr-FR", "fr"), ("DE_de", "de"), ("pt-BR", "en"), ("", "en")])
def test_a_language_tag_chooses_a_catalogue(tag: str, language: str) -> None:
    assert choose_language(tag) == language
