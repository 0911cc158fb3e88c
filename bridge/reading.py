"""Which tracks a capture reads, and how well: those of people who agreed, through the gate of `bridge.consent`."""

from __future__ import annotations

from bridge.audience import Audience
from bridge.call_store import Call
from bridge.capture_files import Running
from bridge.consent import ConsentGate, TapKey
from bridge.consent_store import ConsentStore, Kind
from bridge.people import Person
from media.relay.seams import TrackFacts, TrackSource

SCREEN_LAYER = 2  # a shared screen is read at its best: text must stay legible
VOICES = frozenset({TrackSource.MICROPHONE, TrackSource.UNKNOWN})  # SDKs may leave a microphone's source open


class TrackReader:
    """Concurrency: keeps nothing; its callers order what they ask (`bridge.capture.Captures`)."""

    def __init__(self, consents: ConsentStore, gate: ConsentGate, audience: Audience, camera_layer: int) -> None:
        self._consents = consents
        self._gate = gate
        self._audience = audience
        self._camera_layer = camera_layer

    async def read_person(self, call: Call, running: Running, person: Person) -> None:
        """All that they publish, now that they agree; what they publish later is read as it comes."""
        if running.files is None:
            return
        since = await self._consents.agreed_at(call.id, person.key, running.capture.kind)
        running.files.consented(person.key, since)
        for identity in await self._audience.identities_of(call, person):
            for track in self._audience.tracks(call, identity):
                await self.read_track(call, running, person, identity, track)

    async def read_track(self, call: Call, running: Running, person: Person, identity: str, track: TrackFacts) -> None:
        """If it is one that this capture can use and its publisher has agreed."""
        kind, files = running.capture.kind, running.files
        if files is None or running.capture.track not in ("", track.sid):
            return
        if track.encrypted is not files.encrypted or (kind is Kind.TRANSCRIPTION and not is_voice(track)):
            return
        key = TapKey(call.id, kind, person.key, identity, track.sid)
        screen = track.source is TrackSource.SCREEN_SHARE
        await self._gate.open_tap(
            key,
            lambda: files.track(person, identity, track),
            max_layer=SCREEN_LAYER if screen else self._camera_layer,
        )


def is_voice(track: TrackFacts) -> bool:
    return track.kind == "audio" and track.source in VOICES
