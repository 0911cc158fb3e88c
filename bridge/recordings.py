"""All that is kept of what is said and shown in calls, put together: from the tap to the post in the room.

`captures` is asked and told what happens in calls; `artefacts` makes films and transcripts of it, `poster` brings them
into the room, `forgetting` takes people out again. In end-to-end calls `recorder` reads in a process of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appservice.seams import MatrixPort
from bridge.artefacts import Artefacts, RunWorker
from bridge.capture import Captures
from bridge.capture_files import CaptureFiles
from bridge.capture_store import Capture, State
from bridge.consent import ConsentGate
from bridge.consent_store import Kind
from bridge.files import Folders, master_key, open_journals
from bridge.forgetting import Forgetting
from bridge.modes import MODE_END_TO_END
from bridge.posts import Poster
from bridge.receipts import Receipts
from bridge.recorder import Recorder
from bridge.recorder_link import OpenLink
from bridge.settings import BridgeSettings
from bridge.stores import Stores
from media.recorder.errors import CaptureError
from media.relay.seams import RelayControl
from palabre.base.clock import Clock
from palabre.base.database import Database
from palabre.base.ids import CallId, RoomId
from palabre.base.tasks import Supervisor


class Recordings:
    """Owns its parts. `await recover()`, then `run()` once calls are recovered, and `close()` before the relay ends."""

    def __init__(
        self,
        settings: BridgeSettings,
        database: Database,
        stores: Stores,
        matrix: MatrixPort,
        relay: RelayControl,
        clock: Clock,
        tasks: Supervisor,
        *,
        run_worker: RunWorker,
        open_link: OpenLink,
    ) -> None:
        self._stores = stores
        self._clock = clock
        self._tasks = tasks
        self._left_over: list[RoomId] = []
        self.told: Callable[[], None] = lambda: None  # called when a capture begins to read, ends, or is in the room
        self.folders = Folders(settings.data_directory, master_key(settings.master_key.get_secret_value()))
        self.recorder = Recorder(
            settings, matrix, relay, self.folders, stores.captures, clock, tasks, open_link=open_link
        )
        self.artefacts = self._make_artefacts(settings, database, matrix, run_worker)
        self.poster = Poster(
            stores.posts,
            matrix,
            tasks,
            make_file=self.artefacts.make_file,
            make_text=self.artefacts.make_text,
            settled=self.artefacts.settled,
        )
        self.gate = ConsentGate(stores.consents, relay, clock, opened=self._told)
        self.captures = self._make_captures(settings, database, relay)
        self.forgetting = Forgetting(
            database,
            stores.calls,
            stores.captures,
            stores.consents,
            stores.removals,
            stores.posts,
            clock,
            changed=self._changed,
        )
        self.receipts = Receipts(
            stores.meetings, stores.calls, stores.captures, stores.consents, stores.removals, clock
        )

    def _make_artefacts(
        self, settings: BridgeSettings, database: Database, matrix: MatrixPort, run_worker: RunWorker
    ) -> Artefacts:
        stores = self._stores
        return Artefacts(
            settings,
            database,
            stores.meetings,
            stores.calls,
            stores.captures,
            stores.consents,
            stores.removals,
            stores.artefacts,
            stores.posts,
            matrix,
            self.folders,
            self._clock,
            run_worker=run_worker,
            written=lambda: self.poster.wake(),
            settled=self._told,
        )

    def _make_captures(self, settings: BridgeSettings, database: Database, relay: RelayControl) -> Captures:
        stores = self._stores
        return Captures(
            settings,
            database,
            stores.meetings,
            stores.calls,
            stores.captures,
            stores.consents,
            self.gate,
            stores.posts,
            self.poster,
            relay,
            self._clock,
            self._tasks,
            open_files=self._open_files,
            ended=self._ended,
        )

    async def recover(self) -> None:
        """Finish what a crash left, before calls go on."""
        self._left_over = await self._recorded_rooms()
        await self.captures.recover()

    def run(self) -> None:
        """Keep it going."""
        self._tasks.spawn("poster", self.poster.run())
        self._tasks.spawn("artefacts", self.artefacts.run())
        self.recorder.start(self._left_over)

    async def close(self) -> None:
        """Leave captures so that the next start goes on with them."""
        await self.captures.close()
        await self.recorder.close()

    def reads(self, call: CallId, kind: Kind) -> bool:
        """Whether anything of anybody is being captured."""
        return any(key.call == call and key.kind is kind for key in self.gate.open_taps)

    def _told(self) -> None:
        self.told()

    def _ended(self) -> None:
        self.artefacts.wake()
        self.told()

    async def _recorded_rooms(self) -> list[RoomId]:
        """Where the recorder may still be a member of an end-to-end call, if nobody withdrew it."""
        rooms = []
        for capture in await self._stores.captures.in_state(State.RUNNING):
            call = await self._stores.calls.get(capture.call)
            if call.mode == MODE_END_TO_END:
                rooms.append((await self._stores.meetings.get(call.meeting)).room)
        return rooms

    def _changed(self) -> None:
        self.artefacts.wake()
        self.poster.wake()

    async def _open_files(self, capture: Capture) -> CaptureFiles:
        """In an end-to-end call the recorder's process writes, which alone can read what comes."""
        loop = asyncio.get_running_loop()

        def on_error(error: CaptureError) -> None:
            loop.call_soon_threadsafe(self._capture_failed, capture.id, error)

        call = await self._stores.calls.get(capture.call)
        if call.mode == MODE_END_TO_END:
            meeting = await self._stores.meetings.get(call.meeting)
            return await self.recorder.open(capture, call, meeting, on_error)
        return await open_journals(self.folders, capture, self._clock, on_error)

    def _capture_failed(self, capture_id: str, error: CaptureError) -> None:
        """The disk is full or broken. The call goes on; the capture ends when nothing more is written."""
        if error.fatal:
            self._tasks.spawn("capture broke", self.captures.broke(capture_id))
