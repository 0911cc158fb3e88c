"""What somebody with a session asks of a meeting they may enter: what is going on, capture, consent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bridge.call_store import CallStore, present
from bridge.capture import Captures
from bridge.consent_store import Answer, Evidence, Kind
from bridge.entrance import Entrance
from bridge.forgetting import Forgetting
from bridge.meetings import Meeting
from bridge.moderation import Moderation
from bridge.rights import Permissions
from bridge.sessions import Proof, Session
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import MeetingId, random_id


@dataclass(frozen=True)
class MeetingView:
    """A meeting as somebody who may enter sees it before and during a call."""

    meeting: Meeting
    mode: str  # of the running call, or what this person's would get
    service_url: str  # the focus that a MatrixRTC client in this call names; empty for who cannot be one
    room_encrypted: bool
    started_at: float | None  # seconds since the epoch; None: nobody is in a call
    participants: tuple[str, ...]  # names
    capture: dict[str, Any]


class Conference:
    """Every method asks the room first whether this person may be here. Raises `CallerError`."""

    def __init__(
        self,
        entrance: Entrance,
        calls: CallStore,
        captures: Captures,
        forgetting: Forgetting,
        moderation: Moderation,
        clock: Clock,
        focus_url: str,
    ) -> None:
        self._entrance = entrance
        self._focus_url = focus_url
        self._calls = calls
        self._captures = captures
        self._forgetting = forgetting
        self._moderation = moderation
        self._clock = clock

    async def view(self, session: Session, meeting_id: MeetingId) -> MeetingView:
        standing = await self._entrance.enter(session, meeting_id)
        call = standing.call
        people = [] if call is None else present(await self._calls.attendances(call.id))
        return MeetingView(
            standing.meeting,
            standing.mode,
            self._focus_url if session.proof is Proof.OPENID else "",
            standing.encrypted,
            call.started_at if call is not None and people else None,
            tuple(person.name for person in people),
            self._captures.view(call),
        )

    async def start_capture(self, session: Session, meeting_id: MeetingId, kinds: Iterable[Kind]) -> dict[str, Any]:
        standing = await self._entrance.enter(session, meeting_id)
        meeting = standing.meeting
        self._require_capture(standing.may)
        await self._captures.start(meeting, session.person, kinds, how="page", proof=self._now())
        return self._captures.view(await self._calls.open_call(meeting.id))

    async def stop_capture(self, session: Session, meeting_id: MeetingId, kinds: Iterable[Kind]) -> dict[str, Any]:
        """Stopping what does not run changes nothing."""
        standing = await self._entrance.enter(session, meeting_id)
        meeting = standing.meeting
        self._require_capture(standing.may)
        await self._captures.stop(meeting, kinds)
        return self._captures.view(await self._calls.open_call(meeting.id))

    async def answer(
        self,
        session: Session,
        meeting_id: MeetingId,
        kinds: Iterable[Kind],
        *,
        agree: bool,
        remove_earlier: bool = False,
    ) -> dict[Kind, Answer]:
        """Store the person's consent; withdrawing takes effect before this returns.

        With `remove_earlier` a no also takes out what was captured of them in the meeting's last call; that call may
        be over.
        """
        meeting = (await self._entrance.enter(session, meeting_id)).meeting
        kinds, now, answers = tuple(kinds), self._now(), dict[Kind, Answer]()
        if not remove_earlier or await self._calls.open_call(meeting.id) is not None:
            answers = await self._captures.answer(meeting, session.person, kinds, agree=agree, how="page", proof=now)
        if remove_earlier and not agree:
            await self._forgetting.forget_if_any(meeting, session.person, kinds, how="page", evidence=now)
        return answers

    async def mute(self, session: Session, meeting_id: MeetingId, identity: str) -> int:
        """Returns how many tracks were open."""
        standing = await self._entrance.enter(session, meeting_id)
        return await self._moderation.mute_device(standing.meeting, session.person, identity)

    async def remove(self, session: Session, meeting_id: MeetingId, identity: str) -> None:
        standing = await self._entrance.enter(session, meeting_id)
        await self._moderation.remove_device(standing.meeting, session.person, identity, key=random_id())

    def _now(self) -> Evidence:
        return Evidence(self._clock.wall())

    def _require_capture(self, may: Permissions) -> None:
        if not may.capture:
            raise CallerError("capture_forbidden", "You may not record or transcribe in this meeting.", status=403)
