"""Muting people in a call and removing them from it, by those whom the room lets moderate; said to those concerned.

A removal holds until the call ends, on whichever device and by whichever way they come; a moderator can take it back.
It is about the call alone: the Matrix room has kicks and bans of its own, which `bridge.room_watch` follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import structlog

from bridge import access, rights, wording
from bridge.call_store import Call, CallStore
from bridge.meetings import Meeting
from bridge.people import Person
from bridge.posts import Post, Poster, PostKind, PostStore
from bridge.rights import Right
from bridge.room_questions import RoomQuestions
from bridge.settings import RoomPolicy
from media.relay.seams import RelayControl, TrackFacts
from palabre.base.clock import Clock
from palabre.base.database import Database, transaction
from palabre.base.errors import CallerError
from palabre.base.ids import UserId, loggable, stable_id

log = structlog.get_logger("moderation")

MUTED_ATTRIBUTE = "palabre.muted_by"  # the name of whoever muted the participant, until they unmute


class Moderation:
    """Every method asks the room whether `by` may moderate its calls. Raises `CallerError`.

    `_muted` are those who wear the attribute, by LiveKit room and identity.
    """

    def __init__(
        self,
        database: Database,
        questions: RoomQuestions,
        calls: CallStore,
        posts: PostStore,
        poster: Poster,
        relay: RelayControl,
        policy: RoomPolicy,
        clock: Clock,
    ) -> None:
        self._database = database
        self._questions = questions
        self._calls = calls
        self._posts = posts
        self._poster = poster
        self._relay = relay
        self._policy = policy
        self._clock = clock
        self._muted: set[tuple[str, str]] = set()

    async def mute_device(self, meeting: Meeting, by: Person, identity: str) -> int:
        """Whatever is heard of one participant. Returns how many tracks were open; only their owner can open them."""
        call = await self._moderated(meeting, by)
        await self._person(call, identity)
        return self._mute(call, by, [identity])

    async def mute_person(self, meeting: Meeting, by: Person, user_id: UserId) -> int:
        """The same on all their devices."""
        call = await self._moderated(meeting, by)
        return self._mute(call, by, [identity for identity, _ in await self._devices(call, user_id)])

    async def remove_device(self, meeting: Meeting, by: Person, identity: str, *, key: str) -> None:
        """The person who is in the call under that identity, with all their devices. `key`: done once."""
        call = await self._moderated(meeting, by)
        await self._remove(meeting, call, by, await self._person(call, identity), key)

    async def remove_person(self, meeting: Meeting, by: Person, user_id: UserId, *, key: str) -> None:
        call = await self._moderated(meeting, by)
        await self._remove(meeting, call, by, (await self._devices(call, user_id))[0][1], key)

    async def readmit(self, meeting: Meeting, by: Person, user_id: UserId) -> None:
        """Take a removal back: they may join again."""
        call = await self._moderated(meeting, by)
        if not await self._calls.readmit(call.id, user_id):
            raise CallerError("not_removed", "Nobody of that name was removed from this call.", status=409)
        log.info("readmitted", call=loggable(call.id), person=loggable(user_id), by=loggable(by.key))

    def track_changed(self, room: str, identity: str, track: TrackFacts) -> None:
        """Who speaks again is muted by nobody any more."""
        if track.kind == "audio" and not track.muted and (room, identity) in self._muted:
            self._muted.discard((room, identity))
            self._relay.set_attributes(room, identity, {MUTED_ATTRIBUTE: ""})

    # Who may, and about whom.

    async def _moderated(self, meeting: Meeting, by: Person) -> Call:
        """The meeting's call, which `by` may moderate."""
        call = await self._calls.open_call(meeting.id)
        if call is None:
            raise CallerError("no_call", "No call is running in this room. Start one first.", status=409)
        if not (await self._questions.permissions(by, meeting.room, call.mode)).moderate:
            view = None if by.user_id is None else await self._questions.view(meeting.room, by.user_id)
            needed = self._policy.moderate_power if view is None else rights.needed(Right.MODERATE, view, self._policy)
            sentence = f"You may not moderate calls of this room: that needs power level {needed}."
            raise CallerError("moderation_forbidden", sentence, status=403, needed=needed)
        return call

    async def _person(self, call: Call, identity: str) -> Person:
        person = await self._calls.expected(call.id, identity)
        if person is None:
            raise _not_in_call()
        return person

    async def _devices(self, call: Call, user_id: UserId) -> list[tuple[str, Person]]:
        """Every seat that the person was given; never none."""
        seats = await self._calls.attendances(call.id)
        found = [(seat.identity, seat.person) for seat in seats if seat.person.key == user_id]
        if not found:
            raise _not_in_call()
        return found

    async def _require_below(self, meeting: Meeting, by: Person, person: Person) -> None:
        """As for kicks of Matrix: nobody removes their equals."""
        if person.user_id is None or by.user_id is None or by.key == person.key:
            return
        mine = await self._questions.view(meeting.room, by.user_id)
        theirs = await self._questions.view(meeting.room, person.user_id)
        if theirs.membership == access.JOINED and theirs.power >= mine.power:
            raise CallerError("removal_forbidden", "You can only remove people with less power than yours.", status=403)

    # What is done.

    def _mute(self, call: Call, by: Person, identities: Sequence[str]) -> int:
        count = 0
        for identity in identities:
            with suppress(CallerError):  # they are not there
                heard = [t for t in self._relay.tracks(call.room, identity) if t.kind == "audio" and not t.muted]
                if not heard:
                    continue
                self._relay.set_attributes(call.room, identity, {MUTED_ATTRIBUTE: wording.clean_name(by.name)})
                running = {facts.name for facts in self._relay.rooms()}
                self._muted = {pair for pair in self._muted if pair[0] in running} | {(call.room, identity)}
                for track in heard:
                    self._relay.mute_track(call.room, identity, track.sid)
                    count += 1
        log.info("muted", call=loggable(call.id), tracks=count, by=loggable(by.key))
        return count

    async def _remove(self, meeting: Meeting, call: Call, by: Person, person: Person, key: str) -> None:
        await self._require_below(meeting, by, person)
        body = wording.removed(meeting.language, person.name, by.name)
        async with transaction(self._database):
            await self._calls.remove(call.id, person.key, by.key, self._clock.wall())
            post = stable_id("call", call.id, "removed", key)
            await self._posts.add(Post(post, call.id, PostKind.TEXT, {"body": body}))
        for identity, _ in await self._devices(call, UserId(person.key)):
            with suppress(CallerError):  # they are not there
                await self._relay.remove_participant(call.room, identity)
        self._poster.wake()
        log.info("removed", call=loggable(call.id), person=loggable(person.key), by=loggable(by.key))


def _not_in_call() -> CallerError:
    return CallerError("not_in_call", "They are not in this call.", status=404)
