"""Recording end-to-end encrypted calls: keeps the recorder's process, and the recorder visible in what it records.

The recorder is a member of the call like everybody: a member event in the room, so that clients show it and send it
their media keys, and a presence on the relay. Its process alone has the keys (`bridge.recorder_process`); this side has
ciphertext. Stopping withdraws the member event first, so that clients change their keys, then the presence.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog

from appservice.seams import MatrixPort, RtcStay
from bridge.call_store import Call
from bridge.capture_store import Capture, CaptureStore
from bridge.encrypted_files import EncryptedFiles, EncryptedSink
from bridge.files import Folders
from bridge.meetings import Meeting
from bridge.recorder_link import Link, OpenLink
from bridge.recorder_stays import OpenCapture, RecordedCall, Stays
from bridge.settings import BridgeSettings
from media.recorder.errors import CaptureError
from media.relay.seams import RelayControl
from palabre.base import metrics
from palabre.base.clock import Clock
from palabre.base.errors import CallerError
from palabre.base.ids import CallId, RoomId
from palabre.base.tasks import Supervisor

READY_SECONDS = 20.0  # until the device can be sent to: some requests to the homeserver
CLOSE_SECONDS = 15.0  # until the process has written what a slow disk kept waiting
LOOK_SECONDS = 1.0  # between two looks at who is in the calls
MOST_DEATHS, DEATH_WINDOW = 5, 300.0  # a process that dies that often within so many seconds is given up

log = structlog.get_logger("recorder")
_frames = metrics.counter("recorder_frames", "Frames of end-to-end encrypted tracks", ["outcome"])
_messages = metrics.counter("recorder_key_messages_dropped", "Messages with media keys that were not used", ["reason"])
_starts = metrics.counter("recorder_starts", "Starts of the recorder's process")


class Recorder:
    """One per service. Implements `bridge.encrypted_files.Desk`.

    Concurrency: used from the event loop. `_starting` has one process started at a time; `_look` runs as a task from
    `start` to `close`, and so does whatever follows from the end of a process. A call is in `_calls` from when its
    first capture opens until its last has closed; `turn` orders what its membership goes through.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        matrix: MatrixPort,
        relay: RelayControl,
        folders: Folders,
        store: CaptureStore,
        clock: Clock,
        tasks: Supervisor,
        *,
        open_link: OpenLink,
    ) -> None:
        self._settings = settings
        self._port = matrix.recorder
        self._relay = relay
        self._folders = folders
        self._clock = clock
        self._tasks = tasks
        self._open_link = open_link
        self._link: Link | None = None
        self._ready = asyncio.Event()
        self._starting = asyncio.Lock()
        self._stale = False  # the homeserver knows the device with other keys: the next process gets another one
        self._deaths: list[float] = []  # when processes ended by themselves, monotonic seconds
        self._calls: dict[CallId, RecordedCall] = {}
        self._tracks: dict[int, EncryptedSink] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._events: Mapping[str, Callable[..., None]] = {
            "ready": self._heard_ready,
            "stale": self._heard_stale,
            "closed": self._heard_closed,
            "broke": self._heard_broke,
            "key_frame": self._heard_key_frame,
            "left": self._heard_left,
            "counts": self._heard_counts,
        }
        self._stays = Stays(settings, matrix, relay, store, clock, self._order)

    @property
    def link(self) -> Link | None:
        return self._link

    def _order(self, do: str, fields: Mapping[str, Any]) -> None:
        if self._link is not None:
            self._link.order(do, fields)

    # The service's life.

    def start(self, left_over: list[RoomId]) -> None:
        """Make the device known long before it is needed, for clients send nothing to one they have not heard of;
        withdraw from the calls of `left_over`, where a crash of everything may have left us.
        """
        self._tasks.spawn("recorder looks", self._look_for_ever())
        self._tasks.spawn("recorder prepares", self._prepare(left_over))

    async def close(self) -> None:
        """Leave all calls and end the process. Captures are closed before."""
        await asyncio.gather(*self._leaving, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            await link.close()

    async def _prepare(self, left_over: list[RoomId]) -> None:
        device_id = (await self._port.access()).device_id
        for room_id in left_over:
            with suppress(CallerError):
                await self._port.leave(RtcStay(room_id, device_id, 0.0, ""))
        try:
            await self._be_ready()
        except CallerError as problem:
            log.warning("the recorder's device is not ready", code=problem.code)
        await self._rest()

    # Captures.

    async def open(
        self, capture: Capture, call: Call, meeting: Meeting, on_error: Callable[[CaptureError], None]
    ) -> EncryptedFiles:
        """Be in the call, seen by everybody, with a process that writes. Raises `CallerError` and `OSError`."""
        await self._port.may_enter(meeting.room)
        key = await asyncio.to_thread(self._folders.open_tracks, capture.id)
        recorded = self._calls.setdefault(call.id, RecordedCall(call, meeting))
        recorded.captures[capture.id] = OpenCapture(capture, key, on_error)
        try:
            await self._be_ready()
            self._introduce(recorded, capture.id)
            await self._stays.enter(recorded)
        except BaseException:
            await self._drop(recorded, capture.id)
            raise
        return EncryptedFiles(self, capture.id, room=call.room, matrix_room=meeting.room)

    async def finish(self, capture: str) -> None:
        recorded = next((one for one in self._calls.values() if capture in one.captures), None)
        if recorded is None:
            return
        written = False
        if self._link is not None:
            self._link.order("close_capture", {"capture": capture})
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await recorded.captures[capture].closed.wait()
                written = self._link is not None
        await self._drop(recorded, capture)
        if not written:
            raise OSError("the recorder's process did not say that everything is written")

    async def _drop(self, recorded: RecordedCall, capture: str) -> None:
        """Forget a capture; with the last one of its call we leave, without holding up whoever stops it."""
        recorded.captures.pop(capture, None)
        if recorded.captures or self._calls.get(recorded.call.id) is not recorded:
            self._stays.show(recorded)
            return
        del self._calls[recorded.call.id]
        leaving = self._tasks.spawn("recorder leaves", self._leave_for_good(recorded))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _leave_for_good(self, recorded: RecordedCall) -> None:
        await self._stays.leave(recorded)
        if recorded.call.id not in self._calls:
            self._order("forget_room", {"room": recorded.meeting.room})
        await self._rest()

    def add_track(self, sink: EncryptedSink) -> None:
        self._tracks[sink.number] = sink
        sink.introduce()

    def remove_track(self, sink: EncryptedSink) -> None:
        self._tracks.pop(sink.number, None)

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for recorded in list(self._calls.values()):
                try:
                    await self._stays.look(recorded)
                    await self._stays.renew(recorded)
                except Exception:  # a look that fails must not end those that follow
                    log.exception("could not look who is in a call")

    # The process.

    async def _be_ready(self) -> None:
        """A process runs and its device can be sent to. Raises `CallerError("recorder_unavailable")`."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not self._ready.is_set():
                    async with self._starting:
                        if self._link is None:
                            await self._start_process()
                    await self._ready.wait()
        except (TimeoutError, OSError) as problem:
            log.exception("the recorder is not available")
            raise CallerError(
                "recorder_unavailable", "The recorder cannot be had just now. Try again in a moment.", status=503
            ) from problem

    async def _start_process(self) -> None:
        stale, self._stale = self._stale, False
        access = await self._port.access(renew=stale)
        _starts.inc()
        start = {
            "homeserver_url": access.homeserver_url,
            "token": access.token,
            "secret": base64.b64encode(access.secret).decode(),
            "user_id": access.user_id,
            "device_id": access.device_id,
            "device_name": access.device_name,
            "trusted": [trust.value for trust in access.trusted],
            "device_file": str(Path(self._settings.data_directory) / "recorder" / "device.sealed"),
        }
        self._link = await self._open_link(start, self._tasks, self._heard, self._ended)

    def _introduce(self, recorded: RecordedCall, capture: str) -> None:
        assert self._link is not None, "the process is ready"
        found = recorded.captures[capture]
        order = {"capture": capture, "directory": str(self._folders.tracks(capture)), "room": recorded.meeting.room}
        self._link.order("capture", {**order, "key": base64.b64encode(found.key).decode()})
        self._stays.tell_members(recorded)

    async def _rest(self) -> None:
        """Without anything to record there is no process."""
        async with self._starting:
            link = self._link
            if link is not None and not self._calls:
                self._link = None
                self._ready.clear()
                await link.close()

    def _ended(self, link: Link) -> None:
        """It ended by itself: killed, crashed, or its device is known with other keys."""
        if self._link is link:
            self._link = None
            self._ready.clear()
            now = self._clock.monotonic()
            self._deaths = [*(at for at in self._deaths if now - at < DEATH_WINDOW), now]
            self._tasks.spawn("recorder starts again", self._start_again())

    async def _start_again(self) -> None:
        """What was recorded goes on in another process: its journals in a new segment, and with new keys, for which
        clients must see us leave and come back.
        """
        if len(self._deaths) > MOST_DEATHS:
            self._give_up()
            return
        try:
            await self._be_ready()
        except CallerError:
            self._give_up()
            return
        for recorded in list(self._calls.values()):
            for capture in recorded.captures:
                self._introduce(recorded, capture)
        for sink in list(self._tracks.values()):
            sink.introduce()
        for recorded in list(self._calls.values()):
            self._tasks.spawn("recorder comes back", self._come_back(recorded))

    def _give_up(self) -> None:
        for recorded in self._calls.values():
            for found in recorded.captures.values():
                found.on_error(CaptureError("the recorder's process cannot be kept running", fatal=True))

    async def _come_back(self, recorded: RecordedCall) -> None:
        try:
            await self._stays.leave(recorded)
            await self._stays.enter(recorded)
        except CallerError as problem:
            log.warning("the recorder cannot come back into the call", code=problem.code)
            for found in recorded.captures.values():
                found.on_error(CaptureError(problem.sentence, fatal=True))

    # What it says.

    def _heard(self, event: str, fields: dict[str, Any]) -> None:
        self._events[event](**fields)

    def _heard_ready(self, device_keys: dict[str, Any]) -> None:
        self._tasks.spawn("recorder is signed", self._sign(device_keys))

    async def _sign(self, device_keys: dict[str, Any]) -> None:
        link = self._link
        await self._port.sign(device_keys)
        if link is not None and self._link is link:
            self._ready.set()

    def _heard_stale(self) -> None:
        self._stale = True

    def _heard_closed(self, capture: str) -> None:
        for recorded in self._calls.values():
            if (found := recorded.captures.get(capture)) is not None:
                found.closed.set()

    def _heard_broke(self, capture: str, fatal: bool) -> None:
        for recorded in self._calls.values():
            if (found := recorded.captures.get(capture)) is not None:
                found.on_error(CaptureError("the disk failed under the recording", fatal=fatal))

    def _heard_key_frame(self, track: int) -> None:
        if (sink := self._tracks.get(track)) is not None:
            with suppress(CallerError):  # it has just ended
                self._relay.request_key_frame(sink.room, sink.fields["identity"], sink.fields["track_sid"])

    def _heard_left(self, delay: str) -> None:
        """The homeserver did not hear of us for too long, and has made us leave."""
        for recorded in self._calls.values():
            if recorded.stay is not None and recorded.stay.delay_id == delay:
                self._tasks.spawn("recorder comes back", self._come_back(recorded))

    def _heard_counts(self, frames: dict[str, int], dropped: dict[str, int]) -> None:
        for outcome, number in frames.items():
            _frames.labels(outcome).inc(number)
        for reason, number in dropped.items():
            _messages.labels(reason).inc(number)
