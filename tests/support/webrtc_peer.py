"""A WebRTC client of aiortc's and aioice's own objects: full ICE, DTLS client, SCTP; what relays face in tests."""

from __future__ import annotations

import asyncio
from typing import Any

from aioice import Candidate, Connection
from aiortc import RTCCertificate, RTCDataChannel, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities, RTCSctpTransport

from media.relay.transport.peer import PeerTransport, SctpOffer
from media.relay.transport.ports import MediaPorts
from tests.support.direct_ice import DirectIce

PATIENCE = 20.0  # seconds


class _Ice:
    """aioice's connection in the shape that RTCDtlsTransport wants."""

    role = "controlling"

    def __init__(self) -> None:
        self.connection = Connection(ice_controlling=True)

    async def _recv(self) -> bytes:
        return bytes(await self.connection.recv())

    async def _send(self, data: bytes) -> None:
        await self.connection.send(data)

    async def close(self) -> None:
        await self.connection.close()


class WebRtcPeer:
    """A client that offers; `connect` does everything up to an open data channel."""

    def __init__(self, ice: DirectIce | None = None) -> None:
        self.ice: Any = ice or _Ice()
        self.certificate = RTCCertificate.generateCertificate()
        self.dtls = RTCDtlsTransport(self.ice, [self.certificate])  # type: ignore[arg-type]
        self.dtls._set_role("client")
        self.sctp: Any = RTCSctpTransport(self.dtls)
        self.received: list[tuple[str, Any]] = []
        self.news = asyncio.Event()
        self.sctp.on("datachannel", self._channel)

    def _channel(self, channel: RTCDataChannel) -> None:
        channel.on("message", lambda data: self._message(channel.label, data))

    def _message(self, label: str, data: Any) -> None:
        self.received.append((label, data))
        self.news.set()

    async def connect(self, peer: PeerTransport, ports: MediaPorts, *, sctp: bool = True) -> None:
        fingerprint = self.certificate.getFingerprints()[0]
        peer.start(
            remote_fingerprint=(fingerprint.algorithm, fingerprint.value),
            remote_setup="active",
            sctp=SctpOffer(5000, 65536) if sctp else None,
        )
        await self.ice_connect(peer, ports)
        algorithm, value = peer.fingerprint
        await self.dtls.start(RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint(algorithm, value)]))
        if sctp:
            await self.sctp.start(RTCSctpCapabilities(maxMessageSize=65536), 5000)

    async def ice_connect(self, peer: PeerTransport, ports: MediaPorts) -> None:
        if isinstance(self.ice, DirectIce):
            await self.ice.connect(peer, ports)
            return
        connection = self.ice.connection
        connection.remote_username, connection.remote_password = peer.ufrag, peer.password
        connection.remote_is_lite = True
        await connection.gather_candidates()
        for line in ports.candidates():
            if " udp " in line:
                await connection.add_remote_candidate(Candidate.from_sdp(line.removeprefix("candidate:")))
        await connection.add_remote_candidate(None)
        await connection.connect()

    def channel(self, label: str, **options: Any) -> RTCDataChannel:
        channel = RTCDataChannel(self.sctp, RTCDataChannelParameters(label=label, **options))
        self._channel(channel)
        return channel

    async def wait(self, condition: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - any state of the client may be waited for
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        await self.sctp.stop()
        await self.dtls.stop()
        await self.ice.close()
