from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from appservice import content
from appservice.seams import FilePost


@pytest.mark.parametrize(
    ("html", "inert"),
    [
        ('<img src="https://evil/x" onerror="x()">hi', "hi"),
        ("<script>x()</script>", ""),
        ('<a href="javascript:x()">y</a>', "<a>y</a>"),
        ('<a href="https://meet.example.org/m/1" onclick="x()">y</a>', '<a href="https://meet.example.org/m/1">y</a>'),
        ("<strong>Budget</strong> &amp; co", "<strong>Budget</strong> &amp; co"),
        ('<div style="position:fixed">x</div>', "<div>x</div>"),
    ],
)
def test_html_is_inert_when_it_leaves(html: str, inert: str) -> None:
    assert content.clean(html) == inert
    assert content.text("x", html)["formatted_body"] == inert


def test_a_text_in_a_thread_has_a_fallback_for_clients_without_threads() -> None:
    relation = content.text("x", thread="$root")["m.relates_to"]
    assert relation == {
        "rel_type": "m.thread",
        "event_id": "$root",
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": "$root"},
    }
    answer = content.text("x", thread="$root", reply_to="$other")["m.relates_to"]
    assert (answer["is_falling_back"], answer["m.in_reply_to"]) == (False, {"event_id": "$other"})


def test_a_notice_mentions_nobody_unless_told_to() -> None:
    assert content.text("x")["m.mentions"] == {}
    assert content.text("x", extra={"m.mentions": {"room": True}})["m.mentions"] == {"room": True}


def test_a_film_has_its_measures_in_milliseconds_and_pixels() -> None:
    async def nothing() -> AsyncIterator[bytes]:
        yield b""

    post = FilePost("film.mp4", "video/mp4", 9, nothing, "m.video", 1280, 720, 62.5, b"jpeg", (320, 180))
    made = content.file(post, {"file": {"url": "mxc://x"}}, {"file": {"url": "mxc://t"}}, "$root")
    assert (made["msgtype"], made["file"], made["m.relates_to"]["event_id"]) == ("m.video", {"url": "mxc://x"}, "$root")
    assert made["info"] == {
        "mimetype": "video/mp4",
        "size": 9,
        "w": 1280,
        "h": 720,
        "duration": 62_500,
        "thumbnail_file": {"url": "mxc://t"},
        "thumbnail_info": {"mimetype": "image/jpeg", "size": 4, "w": 320, "h": 180},
    }
