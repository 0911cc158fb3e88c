"""Ringing: tells the members of a room that a call has begun there, as the room wants it, and who declined.

Element Call announces its own calls; whoever starts one from the call page is announced by the bot, and where a room
wants its group to ring, the bot rings in either case. Never twice for one call: a notification that a client has sent
counts, and so do those of the minute before, so that nobody makes phones ring by starting calls again and again.
"""

from __future__ import annotations

import asyncio

import structlog

from appservice.seams import Command, MatrixPort, RingSignal
from bridge import access, wording
from bridge.call_store import Call, CallStore, present
from bridge.meetings import Meeting, MeetingStore
from bridge.modes import MODE_SERVER
from bridge.people import Person
from bridge.posts import Post, Poster, PostKind, PostStore
from bridge.ring_store import Notice, RingStore
from bridge.ringing_rules import QuietHours, Ring, RingPolicy, decide, notification
from bridge.settings import BridgeSettings
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, RoomId, UserId, loggable, stable_id
from palabre.base.tasks import Supervisor
from palabre.base.words import say

CLIENT_SECONDS = 3.0  # that the client of whoever began the call has for its own notification to arrive
AGAIN_SECONDS = 60.0
NOTIFICATION = "org.matrix.msc4075.rtc.notification"

log = structlog.get_logger("ringing")


class Ringing:
    """`call_started` is told by bridge.calls, `signal` by the bot; the command is `!palabre ring`."""

    def __init__(
        self,
        settings: BridgeSettings,
        matrix: MatrixPort,
        meetings: MeetingStore,
        calls: CallStore,
        posts: PostStore,
        poster: Poster,
        store: RingStore,
        clock: Clock,
        tasks: Supervisor,
    ) -> None:
        self._settings = settings
        self._matrix = matrix
        self._meetings = meetings
        self._calls = calls
        self._posts = posts
        self._poster = poster
        self._store = store
        self._clock = clock
        self._tasks = tasks

    def call_started(self, call: Call, person: Person) -> None:
        """Returns at once; the rest is a task, as it waits for the client's own notification."""
        self._tasks.spawn("ringing", self._ring_soon(call, person))

    async def signal(self, signal: RingSignal) -> None:
        """Somebody's client announced a call, or declined one."""
        if signal.declined is None:
            policy = RingPolicy.RING if signal.rings else RingPolicy.NOTIFY
            at = min(signal.sent_at, self._clock.wall())
            await self._store.note(Notice(signal.event_id, signal.room_id, signal.sender, policy, at))
            return
        notice = await self._store.notice(signal.declined)
        if notice is None or notice.room_id != signal.room_id or signal.sender == notice.caller:
            return
        meeting = await self._meetings.of_room(signal.room_id)
        call = None if meeting is None else await self._calls.open_call(meeting.id)
        if meeting is None or call is None:
            return
        count = await self._store.decline(call.id, signal.sender)
        if count is not None:
            await self._post_decline(meeting, call, notice, signal.sender, count)

    async def command(self, command: Command) -> None:
        """Say what the room wants, or change it."""
        if command.arguments:
            view = await self._matrix.view(command.room_id, command.sender)
            access.require_member(view)
            needed = self._settings.policy.moderate_power
            if view.power < needed:
                raise CallerError(
                    "ring_forbidden", f"Only who has power level {needed} here decides that.", status=403, needed=needed
                )
            if command.arguments[0] == "quiet":
                await self._store.set_quiet(command.room_id, command.arguments[1])
            else:
                await self._store.set_policy(command.room_id, RingPolicy(command.arguments[0]))
        policy, quiet = await self._wish(command.room_id)
        lines = [say(command.language, f"room.ring.{policy.value}", limit=self._settings.ring.group_limit)]
        if quiet and policy is not RingPolicy.OFF:
            lines.append(say(command.language, "room.ring.quiet", hours=quiet, zone=self._settings.ring.time_zone))
        thread = command.thread or command.event_id
        key = stable_id("answer", command.event_id)
        await self._matrix.send_text(command.room_id, "\n".join(lines), key=key, thread=EventId(thread))

    async def _ring_soon(self, call: Call, person: Person) -> None:
        await asyncio.sleep(CLIENT_SECONDS)
        meeting = await self._meetings.get(call.meeting)
        try:
            await self._ring(meeting, meeting.room, call, person)
        except CallerError as refusal:  # the room keeps notifications for others, or the bot is not in it
            log.info("a call was not announced", room=loggable(meeting.room), code=refusal.code)

    async def _ring(self, meeting: Meeting, room_id: RoomId, call: Call, person: Person) -> None:
        now = self._clock.wall()
        policy, quiet = await self._wish(room_id)
        view = await self._matrix.view(room_id, self._matrix.user_id)
        if not view.bot_joined:
            return
        announced = await self._matrix.rtc_members(room_id)
        there = {UserId(someone.key) for someone in present(await self._calls.attendances(call.id))}
        ring = decide(
            policy,
            await self._matrix.members(room_id),
            {self._matrix.user_id, *there, *(member.user_id for member in announced)},
            group_limit=self._settings.ring.group_limit,
            quiet=bool(quiet) and QuietHours.parse(quiet).hold(now, self._settings.ring.time_zone),
            already=await self._store.loudest(room_id, call.created_at - AGAIN_SECONDS),
        )
        if ring is None:
            return
        if call.mode == MODE_SERVER and view.encrypted:
            event_id = await self._mention(meeting, room_id, call, person, ring)
        else:
            about = announced[0].event_id if announced else await self._posts.thread(call.id)
            key = stable_id("ring", call.id)
            event_id = await self._matrix.send_event(room_id, NOTIFICATION, notification(ring, about, now), key=key)
        if event_id is not None:
            await self._store.note(Notice(event_id, room_id, person.key, ring.policy, now))
            log.info("call announced", call=loggable(call.id), policy=ring.policy.value, people=len(ring.whom))

    async def _mention(
        self, meeting: Meeting, room_id: RoomId, call: Call, person: Person, ring: Ring
    ) -> EventId | None:
        """Matrix clients have no way into a call to the server in an encrypted room, so they must not offer one by
        ringing: those who are wanted are mentioned beside the link. That a call has begun the room is told anyhow.
        """
        if ring.policy is not RingPolicy.RING:
            return None
        link = wording.meeting_link(self._settings.base_url, meeting.id)
        return await self._matrix.send_text(
            room_id,
            say(meeting.language, "room.ring.mention", name=wording.clean_name(person.name), link=link),
            key=stable_id("ring", call.id),
            thread=await self._posts.thread(call.id),
            extra={
                "msgtype": "m.text",
                "m.mentions": notification(ring, None, 0.0)["m.mentions"],
            },  # notices are silent
        )

    async def _post_decline(self, meeting: Meeting, call: Call, notice: Notice, who: UserId, count: int) -> None:
        view = await self._matrix.view(meeting.room, who)
        sentence = "room.ring.declined.first" if count == 1 else "room.ring.declined.further"
        body = say(meeting.language, sentence, name=wording.clean_name(view.display_name), count=count)
        mentions = [notice.caller] if notice.caller.startswith("@") else []
        content = {"body": body, "extra": {"m.mentions": {"user_ids": mentions}}}
        await self._posts.add(Post(stable_id("declined", call.id, who), call.id, PostKind.TEXT, content))
        self._poster.wake()

    async def _wish(self, room_id: RoomId) -> tuple[RingPolicy, str]:
        """What the room wants, else the settings; quiet hours are empty where there are none."""
        wish, ring = await self._store.wish(room_id), self._settings.ring
        quiet = ring.quiet_hours if wish.quiet is None else wish.quiet
        return wish.policy or RingPolicy(ring.policy), "" if quiet == "off" else quiet
