from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appservice.commands import CATALOGUE, CommandError, explain, help_text, is_command, parse, split_words
from palabre.base.words import LANGUAGES

PREFIX = "!palabre"


@pytest.mark.parametrize(
    ("written", "name", "arguments"),
    [
        ("!palabre", "help", ()),
        ("!palabre call", "call", ()),
        ("!Palabre CALL  Budget 2027 ", "call", ("Budget 2027",)),
        ("!palabre call «\u00a0Budget 2027\u00a0»", "call", ("Budget 2027",)),
        ('!palabre meeting "Budget 2027" @bob:example.org', "meeting", ("Budget 2027", "@bob:example.org")),
        ("!palabre meeting “Budget 2027” @bob:hs @bob:hs", "meeting", ("Budget 2027", "@bob:hs")),
        ("!palabre meeting «Budget» @bob:[::1]:8448", "meeting", ("Budget", "@bob:[::1]:8448")),
        ("!palabre meeting „Haushalt 2027“", "meeting", ("Haushalt 2027",)),
        ("!palabre\tstop please", "stop", ()),
        ("!palabre agree", "agree", ()),
        ("!palabre agree Recording", "agree", ("recording",)),
        ("!palabre decline transcription recording", "decline", ("transcription", "recording")),
        ("!palabre decline recordign", "decline", ()),
    ],
)
def test_a_command_is_read_as_people_type_it(written: str, name: str, arguments: tuple[str, ...]) -> None:
    parsed = parse(written, "", PREFIX)
    assert (parsed.name, parsed.arguments) == (name, arguments)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("!palabre agree recordign", "Write it like this: !palabre agree [recording, transcription or agent]"),
        ("!palabre dance", "I don't know “dance”. Write “!palabre help” to see what I can do."),
        ("!palabre meeting", 'Write it like this: !palabre meeting "title" [@user:server …]'),
        ('!palabre meeting ""', 'Write it like this: !palabre meeting "title" [@user:server …]'),
        ('!palabre meeting "Budget', "A quotation mark was opened and not closed."),
        ("!palabre meeting Budget 2027", "“2027” is not a Matrix user such as @alice:example.org"),
    ],
)
def test_what_cannot_be_obeyed_gets_one_clear_sentence(written: str, sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse(written, "", PREFIX)
    assert explain(refused.value, PREFIX, "en").startswith(sentence)
    for language in LANGUAGES:
        assert explain(refused.value, PREFIX, language)


def test_a_mention_is_the_user_that_it_names() -> None:
    body = '!palabre meeting "Bob and the budget" Bob, Martin & Co'
    html = (
        "!palabre meeting &quot;Bob and the budget&quot; "
        '<a href="https://matrix.to/#/@bob:example.org">Bob</a>, '
        '<a href="https://matrix.to/#/%40martin%3Aexample.org?via=x">Martin &amp; Co</a>'
    )
    parsed = parse(body, html, PREFIX)
    assert parsed.arguments == ("Bob and the budget", "@bob:example.org", "@martin:example.org")


@pytest.mark.parametrize(
    ("body", "spoken_to"),
    [
        ("!palabre", True),
        ("  !palabre status", True),
        ("!palabres", False),
        ("say !palabre", False),
        ("", False),
        (" \n ", False),
    ],
)
def test_only_the_prefix_as_a_word_of_its_own_speaks_to_the_bot(body: str, spoken_to: bool) -> None:
    assert is_command(body, PREFIX) is spoken_to


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_help_names_every_command(language: str) -> None:
    everybody, _ = help_text(PREFIX, language, encrypted=True)
    assert f"{PREFIX} homeservers" not in everybody
    text, html = help_text(PREFIX, language, encrypted=True, admin=True)
    for name in CATALOGUE:
        assert f"{PREFIX} {name}" in text
        assert f"<code>{PREFIX} {name}" in html


@given(st.text())
def test_any_text_is_words_or_a_refusal(text: str) -> None:
    try:
        words = split_words(text)
    except CommandError:
        return
    assert "".join("".join(words).split()) in "".join(text.split()) or any(mark in text for mark in '"“”«»„')


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("", ()),
        ("RING", ("ring",)),
        ("quiet 20h-7h30", ("quiet", "20:00-07:30")),
        ("quiet 20:00 – 7", ("quiet", "20:00-07:00")),
        ("quiet off", ("quiet", "off")),
    ],
)
def test_what_a_room_wants_of_ringing_is_read_as_people_write_it(words: str, arguments: tuple[str, ...]) -> None:
    assert parse(f"!palabre ring {words}", "", "!palabre").arguments == arguments


@pytest.mark.parametrize("words", ["loudly", "quiet", "quiet tonight", "quiet 25:00-07:00", "quiet 20:00-07:61"])
def test_hours_that_are_none_are_explained(words: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse(f"!palabre ring {words}", "", "!palabre")
    assert caught.value.key == "bot.usage"
