"""`bridge_world`: the whole of bridge on a real SQLite file, with the Matrix side, the relay and the worker faked.

It can be killed and started again on the same database (`restart`), as `kill -9` would leave it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import appservice.schema
import bridge.recordings
import bridge.schema
from appservice.federation.opening import open_federation
from appservice.federation.settings import HomeserverSettings
from appservice.seams import Command, ConsentEvent, SendingDevice
from bridge.call_store import Call
from bridge.capture_store import Capture
from bridge.people import Person, guest_person, matrix_person
from bridge.service import BridgeService
from palabre.base.clock import ManualClock
from palabre.base.database import Database, open_database
from palabre.base.errors import CallerError
from palabre.base.ids import EventId, MeetingId, RoomId, UserId
from palabre.base.sealed import write_sealed
from palabre.base.tasks import Supervisor
from tests.support.bridge_fakes import (
    ALICE,
    BOB,
    ROOM,
    SERVER,
    FakeFiles,
    FakeLink,
    FakeMatrix,
    FakeRelay,
    bridge_settings,
    track,
)

LONGEST_WAIT = 30.0  # seconds; a test that needs it has failed: a busy machine takes 3 to write one traceback


class World:
    def __init__(self, folder: Path, *, database_url: str = "", **changes: Any) -> None:
        self.folder = folder
        self.database_url = database_url or f"sqlite:///{folder / 'bridge.db'}"
        self.settings = bridge_settings(folder, **changes)
        self.homeserver_settings: dict[str, Any] = {}
        self.clock = ManualClock()
        self.matrix = FakeMatrix()
        self.relay = FakeRelay()
        self.files: dict[str, FakeFiles] = {}  # capture id -> what would be on disk
        self.jobs: list[dict[str, Any]] = []
        self.links: list[FakeLink] = []  # recorder processes, the running one last
        self.worker_error: Exception | None = None
        self.trusted: list[str] = []  # addresses that the settings name
        self.database: Database
        self.service: BridgeService
        self._events = 0

    async def start(self) -> None:
        tables = [bridge.schema.upgrade_table, appservice.schema.upgrade_table]
        self._pool, (self.database, self.matrix_tables) = await open_database(self.database_url, tables)
        self._tasks = Supervisor()
        settings = HomeserverSettings(own=SERVER, **self.homeserver_settings)
        self._federation = open_federation(settings, self.matrix_tables, self.clock, trusted=self.trusted)
        self.homeservers = self._federation.homeservers
        self.service = BridgeService(
            self.settings,
            self.database,
            self.matrix,
            self.relay,
            federation=self._federation,
            clock=self.clock,
            tasks=self._tasks,
            worker=self._worker,
            open_link=self.open_link,
        )
        self.relay.listener = self.service.listener
        self.homeservers.listener = self.service.homeserver_listener
        await self.service.start()

    async def stop(self) -> None:
        await self._tasks.close()
        await self._federation.http.close()
        await self._pool.stop()

    async def restart(self) -> None:
        """Killed: nothing is closed, the relay is empty, whatever was on its way is lost."""
        await self.stop()
        self.relay = FakeRelay()
        await self.start()

    async def open_files(self, _folders: object, capture: Capture, _clock: object, _error: object) -> FakeFiles:
        if capture.id not in self.service._recordings.folders.capture_ids():
            self.service._recordings.folders.create_tracks_key(capture.id)
        self.files[capture.id] = FakeFiles()
        return self.files[capture.id]

    async def open_link(self, start: Any, tasks: object, heard: Any, ended: Any) -> FakeLink:
        self.links.append(FakeLink(start, heard, ended))
        return self.links[-1]

    async def _worker(self, job: dict[str, Any], progress: Callable[[float], None]) -> dict[str, Any]:
        self.jobs.append(job)
        progress(0.5)
        if self.worker_error is not None:
            raise self.worker_error
        output = Path(job["output"])
        key = self.service._recordings.folders.output_key(output.parent.name)
        output.mkdir(exist_ok=True)
        (output / "film.sealed").unlink(missing_ok=True)
        write_sealed(output / "film.sealed", key, b"film")
        made = {"name": f"{job['stem']}.bin", "mime_type": "application/octet-stream", "size": 4}
        return {
            "artefacts": [made | {"path": "film.sealed", "details": {}}],
            "duration": 65.0,
            "excerpt": [["Alice", "Good morning."]],
            "unreadable": [],
            "missing_seconds": 0.0,
        }

    # Shorthands.

    async def command(
        self,
        name: str,
        *arguments: str,
        sender: UserId = ALICE,
        event: str = "",
        age: float = 0.0,
        device: SendingDevice | None = None,
    ) -> EventId:
        event_id = self._event_id(event)
        sent_at = self.clock.wall() - age
        command = Command(name, arguments, sender, ROOM, event_id, None, "en", sent_at, device)
        await self.service.commands.handle(command)
        return event_id

    async def consent(
        self,
        answers: dict[str, str],
        *,
        sender: UserId = ALICE,
        call: str = "",
        event: str = "",
        age: float = 0.0,
        device: SendingDevice | None = None,
        **more: Any,
    ) -> EventId:
        """`org.palabre.consent`, for the running call unless it names another."""
        event_id = self._event_id(event)
        content = {"call": call or (await self.call()).id, "answers": answers, **more}
        sent_at = self.clock.wall() - age
        await self.service.commands.consent(ConsentEvent(sender, ROOM, event_id, content, sent_at, device))
        return event_id

    def _event_id(self, chosen: str) -> EventId:
        self._events += 1
        return EventId(chosen or f"$event{self._events}")

    async def call(self) -> Call:
        """The one that runs in the room."""
        found = await self.service.listener._calls.open_call(await self.meeting())
        assert found is not None
        return found

    async def refusal(self, name: str, *arguments: str, sender: UserId = ALICE, age: float = 0.0) -> str:
        with pytest.raises(CallerError) as caught:
            await self.command(name, *arguments, sender=sender, age=age)
        return caught.value.code

    async def meeting(self, room_id: RoomId = ROOM) -> MeetingId:
        row = await self.database.fetchrow("SELECT id FROM bridge_meeting WHERE room_id = $1", room_id)
        if row is None:
            await self.command("call")
            return await self.meeting(room_id)
        return MeetingId(row["id"])

    async def take_seat(self, person: Person, device: str = "tab") -> tuple[str, str]:
        """LiveKit room and identity of a seat that was given."""
        _, session = await self.service.entrance._sessions.open(person, None)
        seat = await self.service.entrance.join(session, await self.meeting(), device)
        return (await self.call()).room, seat.identity

    async def join(self, who: str | UserId = ALICE, device: str = "tab", *, publish: bool = True) -> tuple[str, str]:
        """Join with a microphone, a camera and tracks named after the identity."""
        person = guest_person(who, who.title()) if not who.startswith("@") else self.person(UserId(who))
        room, identity = await self.take_seat(person, device)
        self.relay.join(room, identity, person.name)
        if publish:
            self.relay.publish(room, identity, track(f"mic-{identity}"))
        await self.settled()
        return room, identity

    def person(self, user_id: UserId) -> Person:
        return matrix_person(user_id, {ALICE: "Alice", BOB: "Bob"}.get(user_id, ""))

    async def settled(self) -> None:
        await self.service.listener.settled()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(LONGEST_WAIT):
            while not condition():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)

    async def capture_states(self) -> list[str]:
        rows = await self.database.fetch("SELECT state FROM bridge_capture ORDER BY started_at")
        return [row["state"] for row in rows]

    async def until_states(self, *states: str) -> None:
        async with asyncio.timeout(LONGEST_WAIT):
            while await self.capture_states() != list(states):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@pytest.fixture
async def bridge_world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """On SQLite, or on the database that a test's parameter names (`indirect`)."""
    url = request.getfixturevalue(request.param) if hasattr(request, "param") else ""
    world = World(tmp_path, database_url=url)
    monkeypatch.setattr(bridge.recordings, "open_journals", world.open_files)
    monkeypatch.setattr("bridge.artefacts.PAUSE_SECONDS", 0.0)
    await world.start()
    yield world
    with suppress(Exception):
        await world.stop()
