"""The face of the package: builds its parts, starts and ends them, and gives palabre and web what they plug in.

`admission` and `listener` go into the relay, `commands` into the bot, `homeserver_listener` to whoever watches
homeservers; web calls `entrance`, `focus` and `conference`.
"""

from __future__ import annotations

import asyncio

from appservice.confirmations import Confirmations
from appservice.federation.opening import Federation
from appservice.seams import MatrixPort
from bridge.admission import CallAdmission
from bridge.artefact_store import ArtefactStore
from bridge.artefacts import Artefacts, RunWorker
from bridge.call_store import CallStore
from bridge.calls import Calls
from bridge.capture import Captures
from bridge.capture_files import CaptureFiles
from bridge.capture_store import Capture, CaptureStore, State
from bridge.client_api import ClientApis
from bridge.command_log import CommandLog
from bridge.commands import Commands
from bridge.conference import Conference
from bridge.consent import ConsentGate
from bridge.consent_commands import ConsentCommands
from bridge.consent_store import ConsentStore
from bridge.entrance import Entrance
from bridge.files import Folders, master_key, open_journals
from bridge.focus import Focus
from bridge.focus_proxy import FocusProxy
from bridge.forgetting import Forgetting
from bridge.homeserver_admin import HomeserverAdmin
from bridge.homeserver_commands import HomeserverCommands, confirmation_key
from bridge.homeserver_policy import RefusedLeave, StoredPolicy
from bridge.jobs import run_worker
from bridge.leave_store import LeaveStore
from bridge.leaving import DelegatedLeaves
from bridge.meetings import MeetingStore
from bridge.moderation import Moderation
from bridge.modes import MODE_END_TO_END
from bridge.openid import OpenIdVerifier
from bridge.posts import Poster, PostStore
from bridge.receipts import Receipts
from bridge.recorder import Recorder
from bridge.recorder_link import OpenLink, RecorderLink
from bridge.relay_view import RelayPresence
from bridge.removal_store import RemovalStore
from bridge.ring_store import RingStore
from bridge.ringing import Ringing
from bridge.room_questions import RoomQuestions
from bridge.room_watch import RoomWatch
from bridge.sessions import SessionStore
from bridge.settings import BridgeSettings
from media.recorder.errors import CaptureError
from media.relay.seams import RelayControl
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.ids import RoomId
from palabre.base.tasks import Supervisor


class BridgeService:
    """One per process. Owns nothing of what it is given but the tasks it spawns on `tasks`.

    Order in the composition root: build the bot and the relay, build this, give `commands` to the bot and `admission`
    and `listener` to the relay, start the relay, `await start()`. What comes before `start` is done waits for it.
    `await close()` before the relay, the bot and the database end.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        database: Database,  # with `bridge.schema.upgrade_table` applied
        matrix: MatrixPort,
        relay: RelayControl,
        *,
        federation: Federation,  # whose `http` trusts what `settings.focus` names
        clock: Clock,
        tasks: Supervisor,
        worker: RunWorker = run_worker,
        open_link: OpenLink = RecorderLink.open,
    ) -> None:
        self.settings = settings
        self.server_name = matrix.server_name
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._recovered = asyncio.Event()
        self._folders = Folders(settings.data_directory, master_key(settings.master_key.get_secret_value()))
        self._meetings = meetings = MeetingStore(database, clock)
        self._calls = store = CallStore(database, clock)
        capture_store, consents, posts = CaptureStore(database), ConsentStore(database), PostStore(database, clock)
        removals = RemovalStore(database)
        self._capture_store = capture_store
        self.recorder = Recorder(
            settings, matrix, relay, self._folders, capture_store, clock, tasks, open_link=open_link
        )
        self._artefacts = Artefacts(
            settings,
            database,
            meetings,
            store,
            capture_store,
            consents,
            removals,
            ArtefactStore(database),
            posts,
            matrix,
            self._folders,
            clock,
            run_worker=worker,
            written=lambda: self._poster.wake(),
        )
        self._poster = Poster(
            posts,
            matrix,
            tasks,
            make_file=self._artefacts.make_file,
            make_text=self._artefacts.make_text,
            settled=self._artefacts.settled,
        )
        forgetting = Forgetting(
            database, store, capture_store, consents, removals, posts, clock, changed=self._artefacts_changed
        )
        receipts = Receipts(meetings, store, capture_store, consents, removals, clock)
        self.captures = Captures(
            settings,
            database,
            meetings,
            store,
            capture_store,
            consents,
            ConsentGate(consents, relay, clock),
            posts,
            self._poster,
            relay,
            clock,
            tasks,
            open_files=self._open_files,
            ended=self._artefacts.wake,
        )
        ready = self._recovered.wait
        homeservers = StoredPolicy(federation.homeservers)
        questions = RoomQuestions(matrix, homeservers, settings, clock)
        self.watch = RoomWatch(
            questions,
            matrix,
            relay,
            meetings,
            store,
            tasks,
            ready,
            recheck_seconds=settings.policy.recheck_seconds,
        )
        self._leaves = DelegatedLeaves(LeaveStore(database), federation.http, clock, tasks)
        moderation = Moderation(database, questions, store, posts, self._poster, relay, settings.policy, clock)
        ringing = Ringing(settings, matrix, meetings, store, posts, self._poster, RingStore(database), clock, tasks)
        self.listener = Calls(
            database,
            meetings,
            store,
            posts,
            self._poster,
            relay,
            clock,
            base_url=settings.base_url,
            return_seconds=settings.return_seconds,
            observer=self.captures,
            arrived=self.watch.arrived,
            leaves=self._leaves,
            members=matrix.rtc_members,
            track_changed=moderation.track_changed,
            started=ringing.call_started,
        )
        self.relay_view = RelayPresence(settings.focus_url, meetings, store, relay)
        done = CommandLog(database, clock)
        admin = HomeserverCommands(
            settings,
            matrix,
            HomeserverAdmin(federation.homeservers, federation.watch, database, clock),
            Confirmations(federation.database, confirmation_key(settings.master_key.get_secret_value()), clock),
            done,
        )
        self.admission = CallAdmission(questions, meetings, store, ready)
        consent_commands = ConsentCommands(
            settings, matrix, meetings, store, self.captures, forgetting, receipts, done, clock
        )
        self.commands = Commands(
            settings,
            matrix,
            homeservers,
            meetings,
            store,
            self.watch,
            self.listener,
            self.captures,
            consent_commands,
            moderation,
            ringing,
            done,
            admin,
            ready,
            clock,
        )
        self.homeserver_listener = RefusedLeave(homeservers, store, relay)
        openid = OpenIdVerifier(homeservers, federation.client)
        sessions = SessionStore(database, clock, settings.session_ttl)
        self.entrance = Entrance(
            settings, matrix, openid, homeservers, sessions, meetings, store, self.listener, clock, ready
        )
        apis = ClientApis(settings.focus.given_apis, federation.http, clock)
        self.focus = Focus(
            settings, questions, openid, homeservers, meetings, store, self.listener, self._leaves, apis, clock, ready
        )
        self.focus_proxy = FocusProxy(settings, matrix, self.focus, homeservers)
        self.conference = Conference(
            self.entrance, store, self.captures, forgetting, moderation, clock, settings.focus_url
        )

    async def start(self) -> None:
        """Finish what a crash left: calls, captures, jobs and posts; then keep them going."""
        left_over = await self._recorded_rooms()
        await self.captures.recover()
        await self.listener.recover()
        await self._leaves.recover()
        self._recovered.set()
        self.relay_view.recovered = True
        self._tasks.spawn("call events", self.listener.run())
        self._tasks.spawn("calls alive", self.listener.keep_alive())
        self._tasks.spawn("room watch", self.watch.run())
        self._tasks.spawn("delegated leaves", self._leaves.run())
        self._tasks.spawn("poster", self._poster.run())
        self._tasks.spawn("artefacts", self._artefacts.run())
        self.recorder.start(left_over)

    async def close(self) -> None:
        """Leave calls and captures so that the next start goes on with them."""
        await self.listener.close()
        await self.captures.close()
        await self.recorder.close()

    async def _recorded_rooms(self) -> list[RoomId]:
        """Where the recorder may still be a member of an end-to-end call, if nobody withdrew it."""
        rooms = []
        for capture in await self._capture_store.in_state(State.RUNNING):
            call = await self._calls.get(capture.call)
            if call.mode == MODE_END_TO_END:
                rooms.append((await self._meetings.get(call.meeting)).room)
        return rooms

    def _artefacts_changed(self) -> None:
        self._artefacts.wake()
        self._poster.wake()

    async def _open_files(self, capture: Capture) -> CaptureFiles:
        """In an end-to-end call the recorder's process writes, which alone can read what comes."""
        loop = asyncio.get_running_loop()

        def on_error(error: CaptureError) -> None:
            loop.call_soon_threadsafe(self._capture_failed, capture.id, error)

        call = await self._calls.get(capture.call)
        if call.mode == MODE_END_TO_END:
            return await self.recorder.open(capture, call, await self._meetings.get(call.meeting), on_error)
        return await open_journals(self._folders, capture, self._clock, on_error)

    def _capture_failed(self, capture_id: str, error: CaptureError) -> None:
        """The disk is full or broken. The call goes on; the capture ends when nothing more is written."""
        if error.fatal:
            self._tasks.spawn("capture broke", self.captures.broke(capture_id))
