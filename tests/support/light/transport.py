"""A client's end of one peer connection: a UDP socket, ICE checks, DTLS as the client, and data channels.

The DTLS is the relay's own `DtlsSession` turned around, since OpenSSL does the work either way.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from aioice import stun

from media.relay.transport.dtls import DtlsCertificate, DtlsSession
from tests.support.direct_ice import check
from tests.support.light.association import Association
from tests.support.light.descriptions import Local, Remote

REPEAT = 0.5  # seconds until a check or a chunk of the handshake is sent again
CERTIFICATE = DtlsCertificate()  # browsers make one for each connection; here that would be measured with the relay


class LightTransport(asyncio.DatagramProtocol):
    """`ready` is set when DTLS is through and the data channels are open."""

    def __init__(self, labels: tuple[str, ...], channels: int) -> None:
        """`labels`: data channels that we open; `channels`: how many there are in the end, of either side."""
        self._labels, self._channels = labels, channels
        self.local = Local(secrets.token_hex(4), secrets.token_hex(12), CERTIFICATE.fingerprint)
        self._remote: Remote | None = None
        self._udp: Any = None
        self._dtls: DtlsSession | None = None
        self._sctp: Association | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._checked = False
        self.connected_at = 0.0  # the loop's time when DTLS was through
        self.ready = asyncio.Event()

    async def connect(self, remote: Remote) -> None:
        """Begin; a later description of the same connection may have restarted ICE."""
        before, self._remote = self._remote, remote
        if before is not None:
            if before.ufrag != remote.ufrag:
                self.check()
            return
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, remote_addr=remote.address)
        self._repeat()

    def check(self) -> None:
        """An ICE check, which also says that we are still there."""
        assert self._remote is not None
        if self._udp is not None:
            self._send(bytes(check(self._remote.ufrag, self._remote.password)))

    def _repeat(self) -> None:
        self._timer = None
        if not self._checked:
            self.check()
        elif self._dtls is not None and self._dtls.keys is None:
            if (left := self._dtls.timeout()) is not None and left <= 0:
                self._dtls.retransmit()
        elif self._sctp is not None and not self._sctp.established:
            self._sctp.poke()
        if not self.ready.is_set():
            self._timer = asyncio.get_running_loop().call_later(REPEAT, self._repeat)

    def connection_made(self, transport: Any) -> None:
        self._udp = transport

    def _send(self, datagram: bytes) -> None:
        if self._udp is not None:
            self._udp.sendto(datagram)

    def datagram_received(self, datagram: bytes, _address: Any) -> None:
        if datagram[0] < 4:
            self._answered(datagram)
        elif 20 <= datagram[0] < 64 and self._dtls is not None:
            for packet in self._dtls.receive(datagram):
                if self._sctp is not None:
                    self._sctp.receive(packet)
            if self._dtls.keys is not None and self._sctp is None:
                self.connected_at = asyncio.get_running_loop().time()
                self._sctp = Association(self._dtls.send, self._labels)
                self._sctp.poke()
            if self._sctp is not None and self._sctp.opened >= self._channels:
                self.ready.set()

    def _answered(self, datagram: bytes) -> None:
        if self._checked:
            return
        answer = stun.parse_message(datagram)
        assert self._remote is not None
        assert answer.message_class == stun.Class.RESPONSE
        self._checked = True
        self._dtls = DtlsSession(CERTIFICATE, server=False, remote=self._remote.fingerprint, send=self._send)
        self._dtls.start()

    def close(self, *, goodbye: bool = True) -> None:
        """`goodbye`: with close_notify, as a tab that is closed; without, as a machine that is."""
        if self._timer is not None:
            self._timer.cancel()
        self.ready.set()
        if goodbye and self._dtls is not None:
            self._dtls.close()
        if self._udp is not None:
            self._udp.close()
            self._udp = None
