"""A relay without sockets for unit tests: a strict packet path, transports on a switch, clients that negotiate.

`StrictPlane` raises where the real one does, so that a room that names what is gone fails the test.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from livekit.protocol import models, rtc
from pydantic import SecretStr

from media.relay.connection import Connection
from media.relay.environment import Environment
from media.relay.join import JoinRequest
from media.relay.observers import ForListener
from media.relay.outbox import Outbox
from media.relay.plane.api import DownTrackSpec, UpTrackSpec
from media.relay.requests import Requests
from media.relay.room import Room
from media.relay.rooms import Rooms
from media.relay.sdp import Description, parse
from media.relay.seams import Grants
from media.relay.settings import RelaySettings
from media.relay.signal import Shared
from palabre.base.clock import ManualClock
from tests.support.relay import Recorder

FINGERPRINT = ":".join(["AB"] * 32)
_numbers = itertools.count(1)


class StrictPlane:
    """Remembers what exists; unknown or double names raise as `PythonPlane` does."""

    def __init__(self) -> None:
        self.sessions: set[int] = set()
        self.ups: dict[int, tuple[int, UpTrackSpec]] = {}
        self.downs: dict[int, tuple[int, DownTrackSpec]] = {}
        self.layers: dict[int, int] = {}
        self.taps: list[tuple[int, Any]] = []
        self.padded = 0

    def add_session(self, session: int) -> None:
        assert session not in self.sessions
        self.sessions.add(session)

    def remove_session(self, session: int) -> None:
        self.sessions.remove(session)
        for down in [down for down, (owner, _) in self.downs.items() if owner == session]:
            self.remove_down_track(down)
        for track in [track for track, (owner, _) in self.ups.items() if owner == session]:
            self.remove_up_track(track)

    def add_up_track(self, session: int, spec: UpTrackSpec) -> None:
        assert session in self.sessions
        self.ups[spec.track] = session, spec

    def remove_up_track(self, track: int) -> None:
        del self.ups[track]
        self.taps = [tap for tap in self.taps if tap[0] != track]
        for down in [down for down, (_, spec) in self.downs.items() if spec.track == track]:
            self.remove_down_track(down)

    def add_down_track(self, session: int, spec: DownTrackSpec) -> None:
        assert session in self.sessions
        assert spec.down not in self.downs
        assert spec.track in self.ups
        self.downs[spec.down] = session, spec
        self.layers[spec.down] = -1

    def remove_down_track(self, down: int) -> None:
        del self.downs[down]
        del self.layers[down]

    def set_layer(self, down: int, max_layer: int) -> None:
        assert down in self.downs
        self.layers[down] = max_layer

    def add_tap(self, track: int, tap: Any, max_layer: int) -> None:
        assert track in self.ups
        self.taps.append((track, tap))

    def remove_tap(self, track: int, tap: Any) -> None:
        self.taps.remove((track, tap))

    def limit_resends(self, session: int, rate: int) -> None:
        assert session in self.sessions

    def pad(self, down: int, octets: int, now: float) -> None:
        assert down in self.downs
        self.padded += octets

    def deliveries(self) -> tuple[Any, ...]:
        return ()

    def remote_bandwidth(self, session: int) -> int:
        assert session in self.sessions
        return 0


class FakeTransport:
    """A peer transport that connects and closes when told."""

    def __init__(self, observer: Any, plane: StrictPlane) -> None:
        self.observer = observer
        self._plane = plane
        self.session = next(_numbers)
        self.ufrag, self.password = f"u{self.session:04}", "password-of-24-characters"
        self.fingerprint = ("sha-256", FINGERPRINT)
        self.started = self.over = False
        self.restarts = 0
        self.sent: list[tuple[str, bytes]] = []
        plane.add_session(self.session)

    def restart_ice(self) -> None:
        self.restarts += 1

    def start(self, **_: Any) -> None:
        self.started = True

    def open_channel(self, label: str, **_: Any) -> None:
        """Channels are open from the start."""

    def send(self, label: str, payload: bytes) -> bool:
        self.sent.append((label, payload))
        return True

    def buffered(self, label: str) -> int:
        return 0

    async def close(self) -> None:
        self.close_now()

    def close_now(self) -> None:
        if not self.over:
            self.over = True
            self._plane.remove_session(self.session)

    def connect(self) -> None:
        self.observer.transport_connected()

    def lose(self, reason: str = "consent_lost") -> None:
        """As `PeerTransport` does it: the packet path first, then the observer."""
        if not self.over:
            self.close_now()
            self.observer.transport_closed(reason)


class _Tasks:
    """Runs what is spawned to its end at once; nothing that is spawned here waits."""

    def spawn(self, name: str, work: Any) -> None:
        try:
            work.send(None)
        except StopIteration:
            return
        raise AssertionError(f"{name} waits")


class _Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class World:
    """Rooms with fakes below them. `settle` runs timers and clients until nothing is left to do."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.plane = StrictPlane()
        self.listener = Recorder()
        self.timers: list[tuple[float, Callable[[], None], _Timer]] = []
        self.environment = Environment(
            settings=RelaySettings(api_keys={"key": SecretStr("secret-secret-secret-secret-secret")}, **settings),
            clock=self.clock,
            tasks=_Tasks(),  # type: ignore[arg-type]
            plane=self.plane,  # type: ignore[arg-type]
            make_transport=lambda observer: FakeTransport(observer, self.plane),
            candidates=lambda: ("candidate:1 1 udp 1 192.0.2.1 7882 typ host",),
            later=self._later,
        )
        self.rooms = Rooms(self.environment, ForListener(self.listener))
        self.clients: list[FakeClient] = []

    def _later(self, seconds: float, call: Callable[[], None]) -> _Timer:
        timer = _Timer()
        self.timers.append((self.clock.monotonic() + seconds, call, timer))
        return timer

    @property
    def events(self) -> list[tuple[Any, ...]]:
        return self.listener.events

    def join(
        self, identity: str, *, single: bool = True, active: bool = True, settle: bool = True, **grants: Any
    ) -> FakeClient:
        client = FakeClient(self, identity, single, grants)
        self.clients.append(client)
        client.connect_media() if active else None
        self.settle() if settle else None
        return client

    def _tick(self) -> bool:
        """Let the rooms' timer go off; true while it has something to do."""
        waiting = any(room.announcements.waiting for room in self.rooms)
        if waiting:
            self.clock.advance(0.05)
            for room in self.rooms:
                room.tick({}, self.clock.monotonic())
        return waiting

    def settle(self, *, timers: bool = True) -> None:
        for _ in range(100):
            progress = [self._tick(), *(client.work() for client in self.clients)]
            due = [timer for timer in self.timers if timers]
            self.timers = [timer for timer in self.timers if timer not in due]
            for at, call, timer in sorted(due, key=lambda item: item[0]):
                self.clock.advance(max(0.0, at - self.clock.monotonic()))
                if not timer.cancelled:
                    call()
            if not any(progress) and not due:
                return
        raise AssertionError("it never settles")


class FakeClient:
    """A LiveKit client as its relay sees it: it answers, offers, and keeps what it is sent."""

    def __init__(self, world: World, identity: str, single: bool, grants: dict[str, Any]) -> None:
        self.world = world
        self.identity = identity
        self.single = single
        self.cids: dict[str, str] = {}  # cid → kind, of what it sends
        self._slots = {"audio": 1, "video": 1}
        self._sections: list[tuple[str, str]] = []  # (kind, cid or "") by mid; 0 is the data channels'
        self._ice = next(_numbers)
        self.answering = True
        self.messages: list[rtc.SignalResponse] = []
        self._seen = 0
        self.grants = Grants("key", identity, room="room", room_join=True, **grants)
        request = JoinRequest(single=single, client=models.ClientInfo())
        self.outbox = _Kept(self.messages)
        entered = world.rooms.enter(self.grants, request, self.outbox)
        assert entered is not None
        self.room: Room = entered[0]
        self._requests: Requests = entered[1]
        self.connection: Connection = entered[2]

    # -- what it does

    def request(self, **request: Any) -> None:
        self._requests.handle(self.connection, rtc.SignalRequest(**request))

    def connect_media(self) -> None:
        self.offer()
        for leg in (self.connection.publisher, self.connection.subscriber):
            leg.transport.start()  # type: ignore[call-arg]
            if not leg.connected:
                leg.transport.connect()  # type: ignore[attr-defined]

    def publish(self, kind: str = "video", **request: Any) -> str:
        cid = f"{self.identity}-{kind}-{next(_numbers)}"
        video = kind == "video"
        source = models.CAMERA if video else models.MICROPHONE
        values = {"cid": cid, "type": models.VIDEO if video else models.AUDIO, "source": source, **request}
        self.request(add_track=rtc.AddTrackRequest(**values))
        self.cids[cid] = kind
        self._sections.append((kind, cid))
        self.offer()
        self.world.settle()
        return next((t.sid for t in self.connection.participant.tracks.values() if t.cid == cid), "")

    def unpublish(self, sid: str) -> None:
        self.cids.pop(self.connection.participant.tracks[sid].cid)
        self.offer()
        self.world.settle()

    def resume(self) -> None:
        self.outbox = _Kept(self.messages)
        self.room.resume(self.connection, self.grants, self.outbox)
        self._ice = next(_numbers)
        self.world.settle()

    def cut(self) -> None:
        self.room.signalling_lost(self.connection, self.outbox)

    def lose_media(self) -> None:
        for leg in (self.connection.publisher, self.connection.subscriber):
            leg.transport.lose()  # type: ignore[attr-defined]

    def leave(self) -> None:
        self.request(leave=rtc.LeaveRequest())

    def offer(self) -> None:
        self.request(offer=rtc.SessionDescription(type="offer", sdp=self._offer_text(), id=1))

    # -- what it sees

    def got(self, kind: str) -> list[Any]:
        return [getattr(message, kind) for message in self.messages if message.WhichOneof("message") == kind]

    def sees(self) -> dict[str, models.ParticipantInfo]:
        """The others as it knows them, holding the relay to growing versions as clients do."""
        known: dict[str, models.ParticipantInfo] = {}
        for message in self.messages:
            infos = list(message.join.other_participants) + list(message.update.participants)
            for info in infos:
                before = known.get(info.sid)
                resumed = before is not None and before == info
                assert before is None or resumed or info.version > before.version, "a version did not grow"
                known[info.sid] = info
        gone = models.ParticipantInfo.DISCONNECTED
        return {i.identity: i for i in known.values() if i.state != gone and i.identity != self.identity}

    # -- negotiation

    def work(self) -> bool:
        """React to what has come. True if there was something to do."""
        news, self._seen = self.messages[self._seen :], len(self.messages)
        reacted = False
        for message in news:
            if self.connection.closed or not self.connection.signalling:
                return False
            if message.HasField("offer") and self.answering:
                reply = _answer_text(parse(message.offer.sdp))
                self.request(answer=rtc.SessionDescription(type="answer", sdp=reply, id=message.offer.id))
                reacted = True
            elif message.HasField("media_sections_requirement") and self.answering:
                needed = message.media_sections_requirement
                self._sections += [("audio", "")] * needed.num_audios + [("video", "")] * needed.num_videos
                self.offer()
                reacted = True
        return reacted

    def _offer_text(self) -> str:
        lines = _session(len(self._sections) + 1)
        lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:0", *self._transport("actpass")]
        for number, (kind, cid) in enumerate(self._sections, 1):
            payloads = "111" if kind == "audio" else "96"
            lines += [f"m={kind} 9 UDP/TLS/RTP/SAVPF {payloads}", f"a=mid:{number}"]
            lines += ["a=rtpmap:111 opus/48000/2"] if kind == "audio" else ["a=rtpmap:96 VP8/90000"]
            if not cid:
                lines.append("a=recvonly")
            elif cid in self.cids:
                lines += ["a=sendonly", f"a=msid:stream {cid}"]
            else:
                lines.append("a=inactive")
            lines += self._transport("actpass")
        return "\r\n".join(lines) + "\r\n"

    def _transport(self, setup: str) -> list[str]:
        return [f"a=ice-ufrag:c{self._ice:04}", f"a=fingerprint:sha-256 {FINGERPRINT}", f"a=setup:{setup}"]


def _session(sections: int) -> list[str]:
    mids = " ".join(str(number) for number in range(sections))
    return ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mids}"]


def _answer_text(offer: Description) -> str:
    lines = _session(len(offer.sections))
    for section in offer.sections:
        if section.kind == "application":
            lines += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel"]
        else:
            lines += [f"m={section.kind} 9 UDP/TLS/RTP/SAVPF 0"]
            lines += [f"a=rtpmap:{codec.payload_type} {codec.encoding}" for codec in section.codecs]
            lines.append("a=recvonly" if section.sends else "a=inactive")
        lines += [f"a=mid:{section.mid}", "a=ice-ufrag:c0001", f"a=fingerprint:sha-256 {FINGERPRINT}", "a=setup:active"]
    return "\r\n".join(lines) + "\r\n"


class _Kept(Outbox):
    """An outbox that keeps messages instead of sending them."""

    def __init__(self, messages: list[rtc.SignalResponse]) -> None:
        super().__init__(1, 1, lambda: None)
        self._messages = messages
        self.ended: tuple[int, str] | None = None

    def put(self, response: rtc.SignalResponse | Shared) -> None:
        if self.ended is None:
            response = response.response if isinstance(response, Shared) else response
            self._messages.append(rtc.SignalResponse.FromString(response.SerializeToString()))

    def finish(self, code: Any, reason: str) -> None:
        self.ended = self.ended or (code, reason)
