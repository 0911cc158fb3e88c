"""The process that `bench_calls` measures: the compiled packet path with everybody of one call, ordered by a pipe."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection
from typing import Any

from tests.bench.relay_process import NUMBERS, RelayProcess
from tests.support.plane import DOWN_EXTENSIONS, OPUS, VP8, Peer, audio_up, down_of, video_up

RIDS = ("q", "h", "f")
TOP = len(RIDS) - 1
PROFILE = "AEAD_AES_128_GCM"
SMALL_TILES = 8


def call(control: Connection) -> None:
    asyncio.run(CallProcess(control).run())


def large_for(person: int) -> int:
    """Who is shown large: the one who speaks, to whom it is the one who spoke before."""
    return 1 if person == 0 else 0


def small_for(person: int, size: int) -> set[int]:
    """Who is shown small: those who sit next to one."""
    return {(person + step) % size for step in range(1, SMALL_TILES + 2)} - {person, large_for(person)}


class CallProcess(RelayProcess):
    """Everybody publishes a microphone and a camera in three layers, and is subscribed to all others' of both. Cameras
    that are not shown are paused, as LiveKit's clients ask for."""

    def __init__(self, control: Connection) -> None:
        super().__init__("thread", PROFILE, control)

    def connect(self, addresses: list[Any]) -> None:
        """Everybody's."""
        size, extensions = len(addresses), (*DOWN_EXTENSIONS, NUMBERS)
        for person, address in enumerate(addresses):
            Peer(self.plane, person, PROFILE).connect()
            self.plane.accept(address, person)
            self.plane.send_to(person, address)
            self.plane.add_up_track(person, audio_up(microphone(person)))
            self.plane.add_up_track(person, video_up(camera(person), rids=RIDS))
        pairs = [(person, other) for person in range(size) for other in range(size) if person != other]
        for number, (person, other) in enumerate(pairs):
            audio, video = 2 * number + 1, 2 * number + 2
            self.plane.add_down_track(person, down_of(microphone(other), audio, codec=OPUS, extensions=extensions))
            self.plane.add_down_track(person, down_of(camera(other), video, codec=VP8, extensions=extensions))
            self.plane.set_layer(audio, 0)
            if other == large_for(person):
                self.plane.set_layer(video, TOP)
            elif other in small_for(person, size):
                self.plane.set_layer(video, 0)


def microphone(person: int) -> int:
    """The name of its track."""
    return 2 * person + 1


def camera(person: int) -> int:
    return 2 * person + 2
