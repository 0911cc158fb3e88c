"""Asking people in the room for their consent: who is mentioned in the call's thread, and when.

The call page shows a banner; Element Call does not. So the message that tells of a capture mentions everybody present,
and whoever comes later is mentioned too, several of them together, unless they have answered meanwhile. Nobody is
mentioned twice for the same capture: silence is an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

from bridge.consent_store import Answer, Kind
from bridge.people import Person
from bridge.wording import Worded
from palabre.base.ids import CallId
from palabre.base.tasks import Supervisor

# Who sees the banner of the page answers within this; and people come to a meeting within seconds of each other.
BATCH_SECONDS = 20.0
ASK_FIELD = "org.palabre.ask"  # in the message, for programs: {"call", "kinds"}


def to_mention(
    people: Iterable[Person], answers: Mapping[str, Iterable[Answer]], mentioned: Collection[str]
) -> list[Person]:
    """Of `people`, the Matrix users who have not answered and were not mentioned; `answers` by person."""
    silent = (Answer.UNASKED, Answer.ASKED)
    return [
        person
        for person in people
        if person.user_id is not None
        and person.key not in mentioned
        and any(answer in silent for answer in answers[person.key])
    ]


def ask_content(words: Worded, call: CallId, kinds: Iterable[Kind], people: Iterable[Person]) -> dict[str, Any]:
    """The content of a text post (`bridge.posts`) that asks `people`."""
    extra = {
        "m.mentions": {"user_ids": [person.key for person in people]},
        ASK_FIELD: {"call": call, "kinds": [kind.value for kind in kinds]},
    }
    return {"body": words.body, "html": words.html, "extra": extra}


def asked_in(contents: Iterable[Mapping[str, Any]], kinds: Iterable[Kind]) -> set[str]:
    """Who was mentioned by the contents of posts because of one of `kinds`: the inverse of `ask_content`."""
    wanted = {kind.value for kind in kinds}
    extras = [content.get("extra") or {} for content in contents]
    return {
        person
        for extra in extras
        if wanted.intersection(extra.get(ASK_FIELD, {}).get("kinds", ()))
        for person in extra["m.mentions"]["user_ids"]
    }


class Latecomers:
    """Waits for others to come before `ask` is called for a call.

    Concurrency: one task per call that waits; used from the event loop. What a crash loses is made good when people
    come back: they are latecomers again.
    """

    def __init__(self, tasks: Supervisor, ask: Callable[[CallId], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._ask = ask
        self._waiting: set[CallId] = set()

    def came(self, call: CallId) -> None:
        """Somebody who has not answered came to a call in which a capture runs."""
        if call not in self._waiting:
            self._waiting.add(call)
            self._tasks.spawn("asking latecomers", self._later(call))

    async def _pause(self) -> None:
        await asyncio.sleep(BATCH_SECONDS)

    async def _later(self, call: CallId) -> None:
        try:
            await self._pause()
        finally:
            self._waiting.discard(call)  # before asking: who comes from now on waits for the next time
        await self._ask(call)
