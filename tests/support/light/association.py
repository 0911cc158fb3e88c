"""Just enough SCTP for a client that opens data channels and answers those that are opened to it (RFC 9260, RFC 8832).

It sends nothing twice but what the handshake needs: on a loopback nothing is lost. Pure but for `send`.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable

from tests.support.sctp import chunk, data, packet, sack

DATA, INIT, INIT_ACK, HEARTBEAT, HEARTBEAT_ACK, COOKIE_ECHO, COOKIE_ACK = 0, 1, 2, 4, 5, 10, 11
COOKIE = 7  # a parameter
CONTROL = 50  # payload protocol of DATA_CHANNEL_OPEN and its ACK
OPEN, OPEN_ACK = 3, 2
STREAMS = 1024


class Association:
    """The client's side. `labels`: what it opens, unreliable unless it is `_reliable`."""

    def __init__(self, send: Callable[[bytes], None], labels: tuple[str, ...]) -> None:
        self._send = send
        self._labels = labels
        self._tag = secrets.randbits(31) + 1
        self._tsn = secrets.randbits(31)
        self._their_tag = 0
        self._received = 0
        self._cookie = b""
        self.established = False
        self.opened = 0  # channels of either side

    def poke(self) -> None:
        """Begin, or say again what was not answered."""
        if self._cookie:
            self._send(packet(self._their_tag, chunk(COOKIE_ECHO, self._cookie)))
        else:
            body = struct.pack("!LLHHL", self._tag, 1 << 20, STREAMS, STREAMS, self._tsn)
            self._send(packet(0, chunk(INIT, body)))

    def receive(self, datagram: bytes) -> None:
        position = 12
        while position + 4 <= len(datagram):
            kind, flags, length = struct.unpack_from("!BBH", datagram, position)
            self._chunk(kind, flags, datagram[position + 4 : position + length])
            position += length + -length % 4

    def _chunk(self, kind: int, flags: int, body: bytes) -> None:
        if kind == INIT_ACK and not self._cookie:
            self._their_tag, _, _, _, first = struct.unpack_from("!LLHHL", body)
            self._received = (first - 1) % 2**32
            self._cookie = self._parameter(body[16:], COOKIE)
            self.poke()
        elif kind == COOKIE_ACK and not self.established:
            self.established = True
            for number, label in enumerate(self._labels):
                self._open(2 * number, label)
        elif kind == HEARTBEAT:
            self._send(packet(self._their_tag, chunk(HEARTBEAT_ACK, body)))
        elif kind == DATA:
            self._data(body)

    @staticmethod
    def _parameter(parameters: bytes, wanted: int) -> bytes:
        while parameters:
            kind, length = struct.unpack_from("!HH", parameters)
            if kind == wanted:
                return parameters[4:length]
            parameters = parameters[length + -length % 4 :]
        raise AssertionError("the relay's INIT ACK has no cookie")

    def _open(self, stream: int, label: str) -> None:
        reliable = label == "_reliable"
        kind, limit = (0x00, 0) if reliable else (0x81, 0)  # PARTIAL_RELIABLE_REXMIT_UNORDERED, no retransmission
        name = label.encode()
        self._say(stream, struct.pack("!BBHLHH", OPEN, kind, 0, limit, len(name), 0) + name)

    def _say(self, stream: int, message: bytes) -> None:
        said = data(self._tsn, message, stream=stream, protocol=CONTROL)
        self._tsn = (self._tsn + 1) % 2**32
        self._send(packet(self._their_tag, said))

    def _data(self, body: bytes) -> None:
        tsn, stream, _, protocol = struct.unpack_from("!LHHL", body)
        new = 0 < (tsn - self._received) % 2**32 < 1 << 31
        if new:
            self._received = tsn
        self._send(packet(self._their_tag, sack(self._received)))
        if not new or protocol != CONTROL:
            return
        self.opened += 1
        if body[12] == OPEN:
            self._say(stream, bytes([OPEN_ACK]))
