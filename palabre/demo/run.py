"""`palabre demo`: one meeting from the encrypted room through the relay and back into the room, on real parts.

The script is written as the list of what happens; each step prints one line when it has really happened and raises when
it has not. `play` returns the exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bridge.wording import CALL_FIELD
from palabre.demo.door import Door, DoorError
from palabre.demo.homeserver import HomeserverError
from palabre.demo.matrix_user import MatrixUser, MatrixUserError, Message
from palabre.demo.people import Person, read_speech
from palabre.demo.stage import Stage, StageError, put_up

SPEECH = Path(__file__).parent / "assets" / "speech"
KINDS = ("recording", "transcription")
WORK_SECONDS = 240.0  # to compose the film and write the transcript of the scripted minute, on a slow machine
LINK_USERS = {
    "invitee": {"password": "demo", "display_name": "Inès (invitée)"},
    "visiteur": {"password": "demo", "display_name": "Victor (visiteur)"},
}
# Machines mishear: most of somebody's words are asked for, not each.
ALICES_WORDS = ("humains", "libres", "raison", "conscience", "esprit", "fraternité")
BRUNOS_WORDS = ("fellow", "americans", "country", "ask")
UNDERSTOOD = 3
AGENDA = (
    "Budget 2027",
    "1. Voirie : 1,2 M€",
    "2. Écoles : 3,4 M€",
    "3. Bibliothèque : 0,6 M€",
    "4. Questions diverses",
)


class ScriptError(AssertionError):
    """A step did not happen."""


class Narrator:
    """Prints each step when it has happened."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Prints `text` with a mark once the block has ended without an error."""
        back = "\r" if sys.stdout.isatty() else ""
        if back:
            print(f"  …  {text}", end="", flush=True)
        try:
            yield
        except BaseException:
            print(f"{back}  ✗  {text}", flush=True)
            raise
        print(f"{back}  ✓  {text}  ({time.monotonic() - self._start:.0f} s)", flush=True)

    def say(self, text: str = "") -> None:
        print(text, flush=True)


@dataclass
class Attendee:
    """Somebody of the script: a Matrix client, a session with Palabre, and a LiveKit client."""

    matrix: MatrixUser
    door: Door
    person: Person

    async def come(self, room_id: str) -> None:
        await self.door.show_matrix_token(self.matrix, room_id)
        url, token = await self.door.join("demo")
        await self.person.join(url, token)


async def play(folder: Path, *, once: bool) -> int:
    """Run the demo. Returns 0 only if every step happened."""
    folder = folder.absolute()
    for library in ("nio", "livekit"):  # what they warn of is no news to whoever watches the demo
        logging.getLogger(library).setLevel(logging.ERROR)
    narrator = Narrator()
    narrator.say("Palabre: one meeting, from an encrypted room and back into it\n")
    try:
        async with put_up_told(narrator, folder, visible=not once) as stage:
            meeting = await Script(stage, narrator).run()
            if not once:
                await stay(stage, narrator, meeting)
    except (ScriptError, StageError, DoorError, MatrixUserError, HomeserverError) as error:
        narrator.say(f"\nThis step did not happen: {error}\nThe service's log: {folder / 'palabre.log'}")
        return 1
    return 0


@asynccontextmanager
async def put_up_told(narrator: Narrator, folder: Path, *, visible: bool) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        with narrator.step("A real Synapse and Palabre are running, with SQLite"):
            stage = await stack.enter_async_context(put_up(folder, LINK_USERS, visible=visible))
        yield stage


@dataclass
class Meeting:
    """What the script leaves behind for those who stay."""

    id: str
    link: str
    room_id: str
    alice: MatrixUser
    downloads: Path


class Script:
    """The scripted meeting."""

    def __init__(self, stage: Stage, narrator: Narrator) -> None:
        self._stage = stage
        self._narrator = narrator
        self._bot = f"@palabre:{stage.homeserver.server_name}"

    async def run(self) -> Meeting:
        step = self._narrator.step
        async with AsyncExitStack() as stack:
            alice, bruno, chloe = [
                await self._attendee(stack, name, shown, look)
                for look, (name, shown) in enumerate((("alice", "Alice"), ("bruno", "Bruno"), ("chloe", "Chloé")))
            ]
            with step("Alice creates an encrypted room and invites the bot, which explains itself"):
                home = await alice.matrix.create_room("Comité de pilotage", invite=[self._bot])
                await alice.matrix.expect(
                    home, lambda m: m.sender == self._bot and m.encrypted and "!palabre" in m.body
                )
            with step('Alice writes  !palabre meeting "Budget 2027" @bruno @chloe  in it'):
                room = await self._meeting(alice.matrix, home, [bruno.matrix, chloe.matrix])
            with step("Alice writes  !palabre encryption server  there, so that people may come by link, too"):
                command = await alice.matrix.send(room, "!palabre encryption server")
                await alice.matrix.until(lambda: (self._bot, "✅") in alice.matrix.reactions(command))
            with step("Alice, Bruno and Chloé join the call with Matrix OpenID tokens, camera and microphone on"):
                for attendee in (alice, bruno, chloe):
                    await attendee.come(room)
                await self._see_each_other([alice, bruno, chloe])
            root = await self._talk(room, alice, bruno, chloe)
            with step("Everybody leaves"):
                for attendee in (alice, bruno, chloe):
                    await attendee.person.leave()
            downloads = await self._artefacts(room, root, alice.matrix)
            link = f"{self._stage.public_url}/m/{alice.door.meeting}"
            return Meeting(alice.door.meeting, link, room, alice.matrix, downloads)

    async def _attendee(self, stack: AsyncExitStack, name: str, shown: str, look: int) -> Attendee:
        matrix = await stack.enter_async_context(
            MatrixUser.on(self._stage.homeserver, name, self._stage.folder / "clients")
        )
        path = f"/_matrix/client/v3/profile/{matrix.user_id}/displayname"
        await matrix.call("PUT", path, {"displayname": shown})
        door = Door(self._stage.public_url)
        stack.push_async_callback(door.close)
        return Attendee(matrix, door, Person(shown, look))

    async def _meeting(self, alice: MatrixUser, home: str, others: list[MatrixUser]) -> str:
        """The command, its answer, and the new room with everybody in it."""
        names = " ".join(other.user_id for other in others)
        command = await alice.send(home, f'!palabre meeting "Budget 2027" {names}')
        await alice.expect(home, lambda m: m.sender == self._bot and m.encrypted and "/m/" in m.body)
        await alice.until(lambda: (self._bot, "✅") in alice.reactions(command))
        room = await self._invitation(alice)
        for user in (alice, *others):
            await user.join(room)
        return room

    async def _invitation(self, user: MatrixUser) -> str:
        invited = user.client.invited_rooms
        await user.until(lambda: bool(invited))
        return str(next(iter(invited)))

    async def _see_each_other(self, attendees: list[Attendee]) -> None:
        async with asyncio.timeout(30):
            while any(  # noqa: ASYNC110 - what the SDK decoded is looked at, not told
                len(attendee.person.seen) < len(attendees) - 1 for attendee in attendees
            ):
                await asyncio.sleep(0.1)

    async def _talk(self, room: str, alice: Attendee, bruno: Attendee, chloe: Attendee) -> str:
        step = self._narrator.step
        with step("The room shows the call"):
            root = await alice.matrix.expect(
                room, lambda m: m.sender == self._bot and m.encrypted and CALL_FIELD in m.content
            )
        with step("Alice starts recording and transcription in the room; everyone is asked"):
            await alice.matrix.send(room, "!palabre record", thread=root.event_id)
            await alice.matrix.send(room, "!palabre transcribe", thread=root.event_id)
            await self._captured(alice)
        with step("Bruno agrees on the page, Chloé declines in the room"):
            await bruno.door.consent("yes", *KINDS)
            await chloe.matrix.send(room, "!palabre decline", thread=root.event_id)
            await asyncio.sleep(1)
        with step("Alice speaks French, Bruno shares his screen and speaks English, Chloé speaks German"):
            await alice.person.say(read_speech(SPEECH / "watson_fr-FR_Broadband_sample1.flac"))
            await bruno.person.share(AGENDA)
            await bruno.person.say(read_speech(SPEECH / "jfk.flac"))
            await chloe.person.say(read_speech(SPEECH / "watson_de-DE_NarrowbandModel_sample2.flac"))
            await bruno.person.stop_sharing()
            await asyncio.sleep(1)
        with step("All three heard the others"):
            for attendee in (alice, bruno, chloe):
                if len(attendee.person.heard) < 2:
                    raise ScriptError(f"{attendee.person.name} heard {len(attendee.person.heard)} of 2")
        return root.event_id

    async def _captured(self, alice: Attendee) -> None:
        async with asyncio.timeout(15):
            while True:
                capture = (await alice.door.state())["capture"]
                if all(capture.get(kind) for kind in KINDS):
                    return
                await asyncio.sleep(0.2)

    async def _artefacts(self, room: str, root: str, alice: MatrixUser) -> Path:
        """Wait for the film and the transcript in the thread, and decrypt them with Alice's own client."""
        folder = self._stage.folder / "downloads"
        folder.mkdir(exist_ok=True)

        def arrived(kind: str, ending: str) -> Message | None:
            found = (
                m
                for m in alice.messages(room)
                if m.thread == root and m.content.get("msgtype") == kind and m.body.endswith(ending)
            )
            return next(found, None)

        wanted = (("m.video", ".mp4"), ("m.file", ".md"), ("m.file", ".vtt"), ("m.file", ".json"))
        with self._narrator.step("The film and the transcript come into the thread, encrypted"):
            await alice.until(lambda: all(arrived(*what) for what in wanted), patience=WORK_SECONDS)
        with self._narrator.step(f"Alice's own client decrypts them into {folder}"):
            for what in wanted:
                message = arrived(*what)
                if message is None or not message.encrypted:
                    raise ScriptError(f"{what[1]} did not come encrypted")
                (folder / message.body).write_bytes(await alice.download(message))
        self._tell_thread(room, root, alice)
        self._check_transcript(folder)
        return folder

    def _tell_thread(self, room: str, root: str, alice: MatrixUser) -> None:
        self._narrator.say("\nThe thread, as Alice's client decrypted it:")
        for message in alice.messages(room):
            if message.event_id == root or message.thread == root:
                mark = "encrypted" if message.encrypted else "IN CLEAR"
                body = message.body.replace("\n", "\n       │   ")
                self._narrator.say(f"     [{mark}] {message.sender.split(':')[0]}: {body}")
        self._narrator.say()

    def _check_transcript(self, folder: Path) -> None:
        with self._narrator.step("The transcript has Alice's and Bruno's words, and none of Chloé's"):
            text = next(folder.glob("*.md")).read_text(encoding="utf-8").lower()
            for who, words in (("Alice", ALICES_WORDS), ("Bruno", BRUNOS_WORDS)):
                if sum(word in text for word in words) < UNDERSTOOD:
                    raise ScriptError(f"{who}'s words are not in the transcript: {', '.join(words)}")
            for word in ("geige", "wagen"):
                if word in text:
                    raise ScriptError(f"“{word}” was said by someone who declined, and stands in the transcript")


async def stay(stage: Stage, narrator: Narrator, meeting: Meeting) -> None:
    """Print how a person gets in, and wait for Ctrl+C."""
    narrator.say(f"\nNow you. In a browser on this machine:\n\n     {meeting.link}\n")
    for name, user in LINK_USERS.items():
        narrator.say(f"     sign in as  {name}  with the password  {user['password']}")
    narrator.say(f"\n     downloads   {meeting.downloads}")
    narrator.say(f"     homeserver  {stage.homeserver.url}  (alice: {meeting.alice.account.password})")
    narrator.say(f"     health      {stage.monitoring_url}/ready\n     log         {stage.log}\n\nCtrl+C ends it.")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with contextlib.suppress(asyncio.CancelledError):
        await stop.wait()
