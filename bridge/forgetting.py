"""Taking somebody out of what was captured of a call: of what is still to be made, and of what is posted already.

What is posted is taken back and made anew without them, from the raw tracks: those are therefore kept for a while after
the call (`forget_seconds`). Each step is stored before the next, so that a crash anywhere goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from bridge.call_store import Call, CallStore
from bridge.capture_store import Capture, CaptureStore
from bridge.consent_store import Answer, ConsentStore, Evidence, Kind
from bridge.meetings import Meeting
from bridge.people import Person
from bridge.posts import PostStore
from bridge.removal_store import Removal, RemovalStore, removed_until
from bridge.summary import Span, agreed_spans
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import loggable

log = structlog.get_logger("forgetting")


class Forgetting:
    """`changed` is called when posts are to be taken back and artefacts to be made anew."""

    def __init__(
        self,
        database: Database,
        calls: CallStore,
        captures: CaptureStore,
        consents: ConsentStore,
        removals: RemovalStore,
        posts: PostStore,
        clock: Clock,
        *,
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._calls = calls
        self._captures = captures
        self._consents = consents
        self._removals = removals
        self._posts = posts
        self._clock = clock
        self._changed = changed

    async def agreed(self, meeting: Meeting, person: str, kinds: Iterable[Kind]) -> list[Kind]:
        """To which of these they still agree in the call that runs: they are to say no before they are taken out."""
        call = await self._calls.open_call(meeting.id)
        if call is None:
            return []
        return [kind for kind in kinds if await self._consents.answer(call.id, person, kind) is Answer.YES]

    async def forget(
        self, meeting: Meeting, person: Person, kinds: Iterable[Kind], *, how: str, evidence: Evidence
    ) -> None:
        """Take out what was captured of this person until now, in the meeting's last call. They have said no already.

        Raises `CallerError`: `nothing_to_forget`, `forget_too_late` where the raw tracks are deleted.
        """
        call = await self._calls.latest(meeting.id)
        if call is None:
            raise _nothing()
        removals = await self._removals.of_call(call.id)
        if evidence.event_id and any(one.evidence.event_id == evidence.event_id for one in removals):
            return  # done before a crash
        now = self._clock.wall()
        held = [capture for capture in await self._of(call, kinds) if await self._holds(capture, person, now)]
        if not held:
            raise _nothing()
        if any(capture.tracks_deleted for capture in held):
            raise CallerError(
                "forget_too_late",
                "What was recorded cannot be made anew any more. Ask a moderator of the room to delete it.",
                status=409,
            )
        async with transaction(self._database):
            for kind in dict.fromkeys(capture.kind for capture in held):
                await self._removals.add(Removal(call.id, person.key, kind, now, how, evidence))
            for capture in held:
                await self._captures.revise(capture.id)
                await self._posts.withdraw(capture.id)
        log.info("somebody is taken out", call=loggable(call.id), person=loggable(person.key), captures=len(held))
        self._changed()

    async def forget_if_any(
        self, meeting: Meeting, person: Person, kinds: Iterable[Kind], *, how: str, evidence: Evidence
    ) -> None:
        """The same for whoever does not know whether there is something. Raises `CallerError("forget_too_late")`."""
        try:
            await self.forget(meeting, person, kinds, how=how, evidence=evidence)
        except CallerError as refusal:
            if refusal.code != "nothing_to_forget":
                raise

    async def _of(self, call: Call, kinds: Iterable[Kind]) -> list[Capture]:
        wanted = set(kinds)
        return [capture for capture in await self._captures.of_call(call.id) if capture.kind in wanted]

    async def _holds(self, capture: Capture, person: Person, now: float) -> bool:
        """Whether something of them is in this capture that they have not had taken out."""
        window = Span(capture.started_at, capture.ended_at or now)
        agreed = agreed_spans(await self._consents.history(capture.call), person.key, capture.kind, window)
        gone = removed_until(await self._removals.of_call(capture.call), capture.kind).get(person.key, 0.0)
        return any(span.end > gone for span in agreed)


def _nothing() -> CallerError:
    return CallerError("nothing_to_forget", "Nothing of you was captured in the last call of this room.", status=409)
