"""`!palabre …`: the catalogue of commands, the parser, and the help that is made from both. Pure.

People type on phones: any kind of quotation mark will do, capitals too, and a mention is the user that it names.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from palabre.base.words import say

MAX_TITLE = 200  # characters; longer than any title, shorter than what clients cut off
QUOTES = {'"': '"', "“": "”", "«": "»", "„": "“”", "”": "”"}  # closing marks by opening one
_USER = re.compile(r"@[^\s:@]+:[A-Za-z0-9.:\[\]-]+")
_PILL = re.compile(r'<a\b[^>]*\bhref="https://matrix\.to/#/([^"?]+)[^"]*"[^>]*>(.*?)</a>', re.IGNORECASE | re.DOTALL)


class CommandError(ValueError):
    """A command that can't be obeyed as it is written; `key` and `params` name the sentence in the catalogue."""

    def __init__(self, key: str, **params: str) -> None:
        super().__init__(key)
        self.key = key
        self.params = params


@dataclass(frozen=True)
class Spec:
    """One command: how its words become arguments. Raises `CommandError` by `read`."""

    name: str
    read: Callable[[list[str]], tuple[str, ...]]
    admin: bool = False  # obeyed in rooms of admins alone, and not in the help of others


@dataclass(frozen=True)
class Parsed:
    name: str
    arguments: tuple[str, ...]


def _nothing(words: list[str]) -> tuple[str, ...]:
    """Further words are people talking: `!palabre stop please`."""
    return ()


def _as_they_are(words: list[str]) -> tuple[str, ...]:
    return tuple(word[:MAX_TITLE] for word in words)


def _optional_title(words: list[str]) -> tuple[str, ...]:
    title = " ".join(words).strip()[:MAX_TITLE]
    return (title,) if title else ()


def _title_and_users(words: list[str]) -> tuple[str, ...]:
    if not words or not words[0].strip():
        raise CommandError("bot.usage")
    title, *others = words
    users = [user for word in others if (user := word.strip(",;"))]
    for user in users:
        if not is_user_id(user):
            raise CommandError("bot.not_a_user", word=user[:MAX_TITLE])
    return (title.strip()[:MAX_TITLE], *dict.fromkeys(users))


def _encryption(words: list[str]) -> tuple[str, ...]:
    if not words:
        return ()
    wanted = ENCRYPTIONS.get(words[0].lower())
    if wanted is None:
        raise CommandError("bot.usage")
    return (wanted,)


# What people write, and how the product names it.
ENCRYPTIONS = {"end-to-end": "e2ee", "e2ee": "e2ee", "server": "server", "auto": "auto"}


def _kinds_to_agree(words: list[str]) -> tuple[str, ...]:
    """Which ones; none is whatever is asked. A word that we don't know must not become a yes to everything."""
    if any(word.lower() not in CONSENTS for word in words):
        raise CommandError("bot.usage")
    return tuple(dict.fromkeys(word.lower() for word in words))


def _kinds_to_decline(words: list[str]) -> tuple[str, ...]:
    """Which ones; none is all of it, and so is anything that we don't understand: a no is never too wide."""
    kinds = tuple(dict.fromkeys(word.lower() for word in words))
    return kinds if all(kind in CONSENTS for kind in kinds) else ()


def _kinds_to_forget(words: list[str]) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(word.lower() for word in words))
    return kinds if all(kind in KINDS for kind in kinds) else ()


def _user(words: list[str]) -> tuple[str, ...]:
    """Exactly one: whoever else was meant must not be missed in silence."""
    if len(words) != 1:
        raise CommandError("bot.usage")
    if not is_user_id(words[0]):
        raise CommandError("bot.not_a_user", word=words[0][:MAX_TITLE])
    return (words[0],)


def _ring(words: list[str]) -> tuple[str, ...]:
    """`off`, `notify` or `ring`, or `quiet` with hours or `off`; hours come out as 20:00-07:30."""
    if not words:
        return ()
    first, *rest = (word.lower() for word in words)
    if first in RINGS:
        return (first,)
    if first != "quiet" or not rest:
        raise CommandError("bot.usage")
    if rest[0] == "off":
        return ("quiet", "off")
    found = _HOURS.fullmatch("".join(rest))
    if found is None:
        raise CommandError("bot.usage")
    hours = [int(number or 0) for number in found.groups()]
    if max(hours[0], hours[2]) > 23 or max(hours[1], hours[3]) > 59:
        raise CommandError("bot.usage")
    return ("quiet", "{:02}:{:02}-{:02}:{:02}".format(*hours))


RINGS = ("off", "notify", "ring")
_HOURS = re.compile(r"(\d{1,2})[:h]?(\d{2})?[-–—](\d{1,2})[:h]?(\d{2})?")  # 20:00-07:30, 20h-7h30, 20–7

HELP = "help"
KINDS = ("recording", "transcription")
CONSENTS = (*KINDS, "agent")
CATALOGUE: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec(HELP, _nothing),
        Spec("call", _optional_title),
        Spec("meeting", _title_and_users),
        Spec("encryption", _encryption),
        Spec("ring", _ring),
        Spec("record", _nothing),
        Spec("transcribe", _nothing),
        Spec("stop", _nothing),
        Spec("agree", _kinds_to_agree),
        Spec("decline", _kinds_to_decline),
        Spec("forget", _kinds_to_forget),
        Spec("consents", _nothing),
        Spec("mute", _user),
        Spec("remove", _user),
        Spec("readmit", _user),
        Spec("status", _nothing),
        Spec("homeservers", _as_they_are, admin=True),
    )
}


def is_command(body: str, prefix: str) -> bool:
    """Whether somebody speaks to the bot: the prefix alone, or followed by a space."""
    head, *_ = body.split(maxsplit=1) or [""]
    return head.lower() == prefix.lower()


def parse(body: str, formatted: str, prefix: str) -> Parsed:
    """What a message asks for. `formatted` is its HTML, for the mentions in it. Raises `CommandError`."""
    rest = with_mentions(body, formatted).lstrip()[len(prefix) :].strip()
    name = (rest.split(maxsplit=1) or [HELP])[0]
    spec = CATALOGUE.get(name.lower())
    if spec is None:
        raise CommandError("bot.unknown_command", name=name[:MAX_TITLE])
    try:
        return Parsed(spec.name, spec.read(split_words(rest[len(name) :])))
    except CommandError as problem:
        raise CommandError(problem.key, **problem.params, command=spec.name) from None


def split_words(text: str) -> list[str]:
    """Words, and what stands between quotation marks as one word. Raises `CommandError` for a mark left open."""
    words: list[str] = []
    rest = text.strip()
    while rest:
        closing = QUOTES.get(rest[0])
        if closing is None:
            word, *tail = rest.split(maxsplit=1)
            words.append(word)
            rest = tail[0] if tail else ""
            continue
        ends = [at for mark in closing if (at := rest.find(mark, 1)) > 0]
        if not ends:
            raise CommandError("bot.unclosed_quote")
        words.append(rest[1 : min(ends)].strip())
        rest = rest[min(ends) + 1 :].lstrip()
    return words


def with_mentions(body: str, formatted: str) -> str:
    """The text with the user ids of its mentions in place of the names that clients write there.

    https://spec.matrix.org/v1.16/appendices/#matrixto-navigation
    """
    for link, label in _PILL.findall(formatted):
        user, name = unquote(link), html.unescape(re.sub(r"<[^>]*>", "", label))
        if is_user_id(user) and name and user not in body:
            before, found, after = body.rpartition(name)  # the last one: titles, which may hold names, come first
            body = f"{before} {user} {after}" if found else body
    return body


def is_user_id(word: str) -> bool:
    return len(word) <= 255 and _USER.fullmatch(word) is not None


def usage(name: str, prefix: str, language: str) -> str:
    """`!palabre meeting "title" [@user:server …]`"""
    return f"{prefix} {name} {say(language, f'bot.command.{name}.arguments')}".strip()


def explain(problem: CommandError, prefix: str, language: str) -> str:
    """The sentence for a command that can't be obeyed."""
    params = dict(problem.params)
    command = params.pop("command", "")
    if command:
        params["usage"] = usage(command, prefix, language)
    else:
        params["prefix"] = prefix
    return say(language, problem.key, **params)


def help_text(prefix: str, language: str, *, encrypted: bool, admin: bool = False) -> tuple[str, str]:
    """The list of commands, as text and as HTML; with those of admins in their rooms."""
    names = [name for name, spec in CATALOGUE.items() if admin or not spec.admin]
    lines = [(usage(name, prefix, language), say(language, f"bot.command.{name}.does")) for name in names]
    intro = say(language, "bot.help.intro")
    notes = [say(language, "bot.help.consent")]
    if encrypted:
        notes.append(say(language, "bot.help.encrypted"))
    text = "\n".join([intro, *(f"• {command} — {does}" for command, does in lines), "", *notes])
    items = "".join(f"<li><code>{html.escape(command)}</code> — {html.escape(does)}</li>" for command, does in lines)
    paragraphs = "<br>".join(html.escape(note) for note in notes)
    return text, f"<p>{html.escape(intro)}</p><ul>{items}</ul><p>{paragraphs}</p>"
