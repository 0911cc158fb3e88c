"""What people read, in French, German and English: `say("fr", "bot.help.title", name="…")`.

The catalogues are `locales/{en,fr,de}.json`: one key per line, sorted, each key in all three (a test holds it). A key
with a plural has two entries, `key.one` and `key.other`, chosen by the parameter `count`. Pages of the browser have
catalogues of their own.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

from palabre.base.errors import CallerError

LANGUAGES = ("en", "fr", "de")
FALLBACK = "en"


class UnknownKeyError(KeyError):
    """No such sentence: a slip of ours, caught by the test of the catalogues."""


@cache
def catalogue(language: str) -> dict[str, str]:
    """Every sentence of a language, by key."""
    text = resources.files("palabre.base").joinpath(f"locales/{language}.json").read_text(encoding="utf-8")
    sentences: dict[str, str] = json.loads(text)
    return sentences


def choose_language(wanted: str) -> str:
    """The catalogue for a language tag such as `fr-FR`; English where there is none."""
    primary = wanted.replace("_", "-").split("-")[0].lower()
    return primary if primary in LANGUAGES else FALLBACK


def say(language: str, key: str, **params: str | int) -> str:
    """The sentence of `key` with its `{names}` filled in. French counts 0 as one, English and German don't.

    Raises `UnknownKeyError`. Parameters are put in as they are: whoever writes HTML escapes them first.
    """
    language = choose_language(language)
    sentences = catalogue(language)
    if key not in sentences and "count" in params:
        count = int(params["count"])
        single = count in (0, 1) if language == "fr" else count == 1
        key = f"{key}.one" if single else f"{key}.other"
    if key not in sentences:
        raise UnknownKeyError(f"{key} ({language})")
    return sentences[key].format(**params)


def say_why(language: str, reason: str) -> str:
    """The sentence of `why.<reason>`; what is no code stands for itself (`palabre.base.errors.PeerError`)."""
    key = f"why.{reason}"
    return say(language, key) if key in catalogue(choose_language(language)) else reason


def say_error(language: str, error: CallerError) -> str:
    """The sentence of `error.<code>`; the error's own English one where the catalogue has none."""
    try:
        return say(language, f"error.{error.code}", **error.params)
    except KeyError:  # not in the catalogue, or without a parameter that its sentence names
        return error.sentence
