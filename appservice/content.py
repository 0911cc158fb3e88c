"""Contents of what the bot sends: texts in threads, reactions, files. Pure; HTML is cleaned here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nh3

from appservice.seams import FilePost

# https://spec.matrix.org/v1.16/client-server-api/#mroommessage-msgtypes lists what clients show; without images, which
# would make every reader's client load something.
_TAGS = """
    a b blockquote br caption code del details div em h1 h2 h3 h4 h5 h6 hr i li ol p pre s span strong sub summary sup
    table tbody td th thead tr u ul
"""
TAGS = frozenset(_TAGS.split())
ATTRIBUTES = {"a": {"href"}, "code": {"class"}, "ol": {"start"}}
URL_SCHEMES = frozenset({"https", "http", "mailto", "matrix"})


def clean(html: str) -> str:
    """HTML that is inert in every client."""
    return nh3.clean(html, tags=set(TAGS), attributes=ATTRIBUTES, url_schemes=set(URL_SCHEMES), link_rel=None)


def text(
    body: str, html: str = "", *, thread: str | None = None, reply_to: str | None = None, extra: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """An `m.notice`, which other bots don't answer; it mentions nobody unless `extra` says so (`m.mentions`)."""
    content: dict[str, Any] = {"msgtype": "m.notice", "body": body, "m.mentions": {}}
    if html:
        content |= {"format": "org.matrix.custom.html", "formatted_body": clean(html)}
    return content | relation(thread, reply_to) | dict(extra)


def relation(thread: str | None, reply_to: str | None = None) -> dict[str, Any]:
    """https://spec.matrix.org/v1.16/client-server-api/#threading, with the fallback for clients without threads."""
    answered = {"m.in_reply_to": {"event_id": reply_to or thread}}
    if thread:
        relates = {"rel_type": "m.thread", "event_id": thread, "is_falling_back": reply_to is None, **answered}
        return {"m.relates_to": relates}
    return {"m.relates_to": answered} if reply_to else {}


def reaction(event_id: str, emoji: str) -> dict[str, Any]:
    return {"m.relates_to": {"rel_type": "m.annotation", "event_id": event_id, "key": emoji}}


def file(post: FilePost, where: Mapping[str, Any], thumbnail: Mapping[str, Any], thread: str | None) -> dict[str, Any]:
    """An `m.file` or `m.video`. `where` and `thumbnail`: `{"url": …}` in clear, `{"file": …}` encrypted, or nothing."""
    info: dict[str, Any] = {"mimetype": post.mime_type, "size": post.size}
    if post.width and post.height:
        info |= {"w": post.width, "h": post.height}
    if post.duration:
        info["duration"] = round(post.duration * 1000)
    if thumbnail:
        width, height = post.thumbnail_size
        info |= {f"thumbnail_{name}": value for name, value in thumbnail.items()}
        info["thumbnail_info"] = {"mimetype": "image/jpeg", "size": len(post.thumbnail), "w": width, "h": height}
    content = {"msgtype": post.msgtype, "body": post.name, "filename": post.name, "info": info, "m.mentions": {}}
    return content | dict(where) | relation(thread)
