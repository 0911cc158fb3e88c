"""A room of Janus with one publisher and its subscribers, connected by ICE and DTLS-SRTP as by its API, up to the
sockets that `Ends` then drives."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from typing import Any

import aiohttp
from aioice import stun
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdtlstransport import SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80
from pylibsrtp._binding import ffi

from media.relay.plane.extensions import ABS_SEND_TIME, MID, TRANSPORT_CC
from tests.bench.ends import End, Ends, bound, paced
from tests.bench.janus import Janus, JanusApi
from tests.support.plane import MID_ID, SEND_TIME_ID, TRANSPORT_CC_ID, VP8, Vp8Source

PATIENCE = 10.0  # seconds for an answer on the same machine
CHECK_INTERVAL = 0.2  # seconds
ROOM = 1
PROFILES = {"AEAD_AES_128_GCM": SRTP_AEAD_AES_128_GCM, "AES128_CM_SHA1_80": SRTP_AES128_CM_SHA1_80}
FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
SSRC, RTX_SSRC = 0x10001, 0x10002


def check(ufrag: str, password: str, own_ufrag: str) -> stun.Message:
    """A controlling side's connectivity check, RFC 8445 section 7.2.2."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{ufrag}:{own_ufrag}"
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 7
    message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(password.encode())
    return message


class Place:
    """One PeerConnection with Janus: a UDP socket, ICE with one candidate, DTLS. In the shape that aiortc wants."""

    def __init__(self, profile: str, role: str) -> None:
        self.role = role
        self.socket = bound()
        self.certificate = RTCCertificate.generateCertificate()
        self.dtls: Any = RTCDtlsTransport(self, [self.certificate])  # type: ignore[arg-type]
        self.dtls._srtp_profiles = [PROFILES[profile]]
        letters = random.Random().choices("abcdefghijklmnopqrstuvwxyz0123456789", k=28)
        self.ufrag, self.password = "".join(letters[:4]), "".join(letters[4:])
        self._data: asyncio.Queue[bytes] = asyncio.Queue()
        self._checked = asyncio.Event()

    async def _recv(self) -> bytes:
        return await self._data.get()

    async def _send(self, data: bytes) -> None:
        self.socket.send(data)

    def received(self, datagram: bytes) -> None:
        """What is not RTP."""
        if datagram[0] >= 4:
            self._data.put_nowait(datagram)
            return
        message = stun.parse_message(datagram)
        if message.message_class == stun.Class.REQUEST:
            self._answer(message)
        self._checked.set()

    def _readable(self) -> None:
        self.received(self.socket.recv(2048))

    def description(self, media: list[str], setup: str) -> str:
        """An SDP with one section."""
        algorithm, fingerprint = next(
            (each.algorithm, each.value) for each in self.certificate.getFingerprints() if each.algorithm == "sha-256"
        )
        candidate = "candidate:1 1 udp 2130706431 {} {} typ host".format(*self.socket.getsockname())
        lines = [
            "v=0",
            "o=- 1 1 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0",
            "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
            "c=IN IP4 127.0.0.1",
            "a=rtcp-mux",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.password}",
            f"a=fingerprint:{algorithm} {fingerprint}",
            f"a=setup:{setup}",
            f"a={candidate}",
            "a=end-of-candidates",
            *media,
        ]
        return "".join(f"{line}\r\n" for line in lines)

    async def connect(self, sdp: str) -> None:
        """To where Janus's description says."""
        told = dict(re.findall(r"^a=(ice-ufrag|ice-pwd|fingerprint|setup):(.*?)\r?$", sdp, re.MULTILINE))
        host, port = re.findall(r"^a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ", sdp, re.MULTILINE | re.IGNORECASE)[0]
        self.socket.connect((host, int(port)))
        loop = asyncio.get_running_loop()
        loop.add_reader(self.socket.fileno(), self._readable)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._nominate(told["ice-ufrag"], told["ice-pwd"])
                self.dtls._set_role("server" if told["setup"] == "active" else "client")
                fingerprint = RTCDtlsFingerprint(*told["fingerprint"].split())
                await self.dtls.start(RTCDtlsParameters(fingerprints=[fingerprint]))
        finally:
            loop.remove_reader(self.socket.fileno())
        if self.dtls.state != "connected":
            raise RuntimeError("Janus did not agree on this SRTP profile")

    def _answer(self, request: stun.Message) -> None:
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = self.socket.getpeername()
        response.add_message_integrity(self.password.encode())
        self.socket.send(bytes(response))

    async def _nominate(self, ufrag: str, password: str) -> None:
        """Nominate the only pair there is, or let Janus do so; whose offer it was decides."""
        while not self._checked.is_set():
            if self.role == "controlling":
                self.socket.send(bytes(check(ufrag, password, self.ufrag)))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._checked.wait(), CHECK_INTERVAL)

    def end(self, ssrc: int = 0, numbers_id: int = 0) -> End:
        """Once connected."""
        context = int(ffi.cast("uintptr_t", self.dtls._tx_srtp._srtp[0]))
        return End(self.socket, self.dtls._rx_srtp.unprotect, context, ssrc, numbers_id, self.received)

    async def close(self) -> None:
        await self.dtls.stop()
        self.socket.close()


def _video(codec_lines: list[str], direction: str) -> list[str]:
    return ["a=mid:0", f"a={direction}", *codec_lines]


def offered() -> list[str]:
    """The publisher's section: VP8 with RTX and all feedback that ours negotiates."""
    ids = ((MID_ID, MID), (TRANSPORT_CC_ID, TRANSPORT_CC), (SEND_TIME_ID, ABS_SEND_TIME))
    return _video(
        [
            f"a=rtpmap:{VP8.payload_type} VP8/90000",
            *(f"a=rtcp-fb:{VP8.payload_type} {kind}" for kind in FEEDBACK),
            f"a=rtpmap:{VP8.rtx_payload_type} rtx/90000",
            f"a=fmtp:{VP8.rtx_payload_type} apt={VP8.payload_type}",
            *(f"a=extmap:{number} {uri}" for number, uri in ids),
            f"a=ssrc-group:FID {SSRC} {RTX_SSRC}",
            f"a=ssrc:{SSRC} cname:bench",
            f"a=ssrc:{RTX_SSRC} cname:bench",
            "a=msid:bench video",
        ],
        "sendonly",
    )


def answered(offer: str) -> list[str]:
    """A subscriber's section: takes everything that Janus offers, with transport-cc besides."""
    kept = re.findall(r"^(a=(?:rtpmap|fmtp|rtcp-fb|extmap):.*?)\r?$", offer, re.MULTILINE)
    return _video(kept, "recvonly")


class JanusRelay:
    """`event_loops` as in `Janus`."""

    def __init__(self, name: str, event_loops: int, subscribers: int, profile: str) -> None:
        self.name = name
        self._janus = Janus(event_loops)
        self.pid = self._janus.pid
        self._publisher = Place(profile, "controlling")
        self._subscribers = [Place(profile, "controlled") for _ in range(subscribers)]
        self.source = Vp8Source(SSRC)
        self._http: aiohttp.ClientSession
        self._api: JanusApi
        self.ends: Ends

    async def start(self) -> None:
        self._http = aiohttp.ClientSession()
        self._api = await self._janus.connect(self._http)
        feed = await self._publish()
        subscribers = [await self._subscribe(feed, place) for place in self._subscribers]
        self.ends = Ends([*subscribers, self._publisher.end()])
        self.ends.load(paced(self.datagrams(100, 100), len(subscribers), 500, 1))
        await self.ends.run(0.5)

    async def _publish(self) -> int:
        handle = await self._api.attach()
        await self._api.ask(handle, {"request": "create", "room": ROOM, "publishers": 1, "transport_wide_cc_ext": True})
        said, _ = await self._api.ask(handle, {"request": "join", "ptype": "publisher", "room": ROOM})
        offer = self._publisher.description(offered(), "actpass")
        _, answer = await self._api.ask(handle, {"request": "publish"}, description=("offer", offer))
        await self._publisher.connect(answer)
        await self._api.up(handle)
        return int(said["id"])

    async def _subscribe(self, feed: int, place: Place) -> End:
        handle = await self._api.attach()
        join = {"request": "join", "ptype": "subscriber", "room": ROOM, "streams": [{"feed": feed}]}
        _, offer = await self._api.ask(handle, join)
        answer = place.description(answered(offer), "active")
        await self._api.ask(handle, {"request": "start"}, description=("answer", answer))
        await place.connect(offer.replace("a=setup:actpass", "a=setup:passive"))
        numbers = re.search(rf"^a=extmap:(\d+) {re.escape(TRANSPORT_CC)}", offer, re.MULTILINE)
        stream = re.search(r"^a=ssrc:(\d+)", offer, re.MULTILINE)
        return place.end(int(stream[1]) if stream else 0, int(numbers[1]) if numbers else 0)

    def datagrams(self, count: int, size: int) -> list[bytes]:
        """The next packets, protected, in frames of ten."""
        packets = [packet for _ in range(-(-count // 10)) for packet in self.source.frame(packets=10, size=size)]
        return [self._publisher.dtls._tx_srtp.protect(packet) for packet in packets]

    async def close(self) -> None:
        for place in (self._publisher, *self._subscribers):
            await place.close()
        await self._api.close()
        await self._http.close()
        await self._janus.close()
