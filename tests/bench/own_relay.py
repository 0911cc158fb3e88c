"""A packet path of ours in a process of its own, and its ends.

SRTP is real; ICE and DTLS have nothing to do while packets flow, and are left out.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from typing import Any

from tests.bench.ends import End, Ends, bound
from tests.bench.relay_process import NUMBERS, relay
from tests.support.plane import Peer, Vp8Source, down_of

SETTLING = 0.2  # seconds that an order takes at most


class OwnRelay:
    """`thread`, `loop` or `python`; see `relay_process`."""

    def __init__(self, path: str, subscribers: int, profile: str) -> None:
        self.name = path
        self._control, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=relay, args=(path, profile, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        address = self._control.recv()
        self._sockets = [bound() for _ in range(subscribers + 1)]
        self._control.send([one.getsockname() for one in self._sockets])
        nobody: Any = None
        peers = [Peer(nobody, session, profile) for session in range(subscribers + 1)]
        for one in self._sockets:
            one.connect(address)
        self._peers = peers  # the ends use their contexts
        self.publisher, self.source = peers[0], Vp8Source(1)
        others = [
            End(udp, peer._receive.unprotect, peer.context, down_of(1, peer.session).ssrc, NUMBERS.id)
            for udp, peer in zip(self._sockets[1:], peers[1:], strict=True)
        ]
        self.ends = Ends([*others, End(self._sockets[0], peers[0]._receive.unprotect, peers[0].context)])

    async def start(self) -> None:
        """Everybody gets the stream, pauses and gets it again: from then on each packet has to be rewritten."""
        for layer in (0, -1, 0):
            self._control.send(layer)
            await asyncio.sleep(SETTLING)
            for packet in self.source.frame(key=True):
                self._sockets[0].send(self.publisher.protect(packet))
        await self.ends.run(SETTLING)

    def datagrams(self, count: int, size: int) -> list[bytes]:
        """The next packets, protected, in frames of ten."""
        packets = [packet for _ in range(-(-count // 10)) for packet in self.source.frame(packets=10, size=size)]
        return [self.publisher.protect(packet) for packet in packets]

    async def close(self) -> None:
        self._control.send(None)
        await asyncio.to_thread(self._process.join)
        for one in self._sockets:
            one.close()
