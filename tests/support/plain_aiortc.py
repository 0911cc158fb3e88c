"""Two plain aiortc and aioice ends, without anything of ours between: what attacks meet where nobody guards."""

from __future__ import annotations

import asyncio
from typing import Any

from aioice import Connection
from aiortc import RTCCertificate, RTCDtlsParameters, RTCDtlsTransport

STRANGER = ("198.51.100.1", 9)


class PlainEnd:
    """ICE and DTLS as `RTCPeerConnection` builds them."""

    def __init__(self, *, controlling: bool) -> None:
        self.role = "controlling" if controlling else "controlled"
        self.connection = Connection(ice_controlling=controlling)
        self.certificate = RTCCertificate.generateCertificate()
        self.dtls: Any = RTCDtlsTransport(self, [self.certificate])  # type: ignore[arg-type]

    async def _recv(self) -> bytes:
        return bytes(await self.connection.recv())

    async def _send(self, data: bytes) -> None:
        await self.connection.send(data)

    def from_stranger(self, datagram: bytes) -> None:
        """As if it had come over the network from an address that nobody knows."""
        self.connection._nominated[1].protocol.datagram_received(datagram, STRANGER)

    async def handshake(self, other: PlainEnd) -> None:
        await self.dtls.start(RTCDtlsParameters(fingerprints=other.certificate.getFingerprints()))

    async def close(self) -> None:
        await self.dtls.stop()
        await self.connection.close()


async def reach_each_other() -> tuple[PlainEnd, PlainEnd]:
    """Two ends with ICE done and DTLS to come."""
    ends = PlainEnd(controlling=True), PlainEnd(controlling=False)
    for end in ends:
        await end.connection.gather_candidates()
    for end, other in (ends, reversed(ends)):
        end.connection.remote_username = other.connection.local_username
        end.connection.remote_password = other.connection.local_password
        for candidate in [*other.connection.local_candidates, None]:
            await end.connection.add_remote_candidate(candidate)
    await asyncio.gather(*(end.connection.connect() for end in ends))
    return ends
