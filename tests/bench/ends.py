"""The ends of a relay that is measured: sockets, and the thread in C (`ends.c`) that sends and reads on them."""

from __future__ import annotations

import asyncio
import ctypes
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylibsrtp._binding import ffi, lib

BUFFER = 4 << 20  # bytes: who is kept from reading for a moment shall not lose packets that cost the relay something
SLICE = 0.05  # seconds without Python
TOLD = 1024
LOOPBACK = "127.0.0.1"
HERE = Path(__file__).parent

Transform = Callable[[bytes], bytes]


def built(name: str) -> ctypes.CDLL:
    """A C file of this folder, built anew each time: it takes a moment."""
    library = HERE.parents[1] / ".cache" / f"{name}.so"
    library.parent.mkdir(exist_ok=True)
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, str(HERE / f"{name}.c"), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def address_of(function: Any) -> ctypes.c_void_p:
    """Where a function of libsrtp is."""
    return ctypes.c_void_p(int(ffi.cast("uintptr_t", ffi.addressof(lib, function))))


def own_address() -> str:
    """This machine's, for packets that don't leave it: Janus has no loopback candidates."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        try:
            udp.connect(("192.0.2.1", 9))  # asks for the route, sends nothing
        except OSError:
            return LOOPBACK
        return str(udp.getsockname()[0])


def bound() -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((own_address(), 0))
    udp.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        udp.setsockopt(socket.SOL_SOCKET, option, BUFFER)
    return udp


@dataclass
class End:
    """Somebody's. `other` takes what is not RTP."""

    socket: socket.socket  # connected to the relay
    unprotect: Transform
    srtcp: int  # address of libsrtp's context for what it sends
    ssrc: int = 0  # of something that it gets
    numbers_id: int = 0  # of the header extension with transport-cc's numbers
    other: Callable[[bytes], None] = field(default=lambda _: None)


class _Datagram(ctypes.Structure):
    _fields_ = (("end", ctypes.c_int), ("length", ctypes.c_int), ("bytes", ctypes.c_uint8 * 1500))

    def taken(self) -> bytes:
        return bytes(self.bytes[: self.length])


class _End(ctypes.Structure):
    _fields_ = (
        ("socket", ctypes.c_int),
        ("numbers_id", ctypes.c_int),
        ("srtcp", ctypes.c_void_p),
        ("ssrc", ctypes.c_uint32),
        ("received", ctypes.c_int64),
        ("feedback_at", ctypes.c_int64),
        ("count", ctypes.c_int),
        ("feedbacks", ctypes.c_uint8),
        ("numbers", ctypes.c_uint16 * TOLD),
        ("arrivals", ctypes.c_int64 * TOLD),
    )


class _Item(ctypes.Structure):
    _fields_ = (("due", ctypes.c_int64), ("end", ctypes.c_int), ("length", ctypes.c_int))


class _Ends(ctypes.Structure):
    _fields_ = (
        ("ends", ctypes.POINTER(_End)),
        ("count", ctypes.c_int),
        ("protect_rtcp", ctypes.c_void_p),
        ("bytes", ctypes.c_char_p),
        ("items", ctypes.c_void_p),
        ("next", ctypes.c_int),
        ("total", ctypes.c_int),
        ("at", ctypes.c_size_t),
        ("begun", ctypes.c_int64),
        ("sweep_at", ctypes.c_int64),
        ("left_count", ctypes.c_int),
        ("sample_count", ctypes.c_int),
        ("left", _Datagram * 256),
        ("samples", _Datagram * 64),
    )


class Ends:
    """All ends of one relay. Who calls `run` and `load` waits for one before the next."""

    _library: ctypes.CDLL | None = None

    def __init__(self, ends: Sequence[End]) -> None:
        if Ends._library is None:
            Ends._library = built("ends")
            assert Ends._library.ends_size() == ctypes.sizeof(_Ends)
            assert Ends._library.end_size() == ctypes.sizeof(_End)
        self._known = ends
        self._all = (_End * len(ends))()
        for end, one in zip(self._all, ends, strict=True):
            end.socket, end.srtcp, end.ssrc = one.socket.fileno(), one.srtcp, one.ssrc
            end.numbers_id = one.numbers_id
        self._ends = _Ends(ends=self._all, count=len(ends), protect_rtcp=address_of("srtp_protect_rtcp"))
        self._held: tuple[Any, ...] = ()

    @property
    def received(self) -> int:
        """RTP packets that all of them got, since the start."""
        return sum(end.received for end in self._all)

    @property
    def sent(self) -> int:
        """How many of the schedule's packets."""
        return int(self._ends.next)

    @property
    def done(self) -> bool:
        """The whole schedule."""
        return bool(self._ends.next >= self._ends.total)

    def load(self, schedule: Sequence[tuple[float, int, bytes]]) -> None:
        """Send these from now on: (seconds from now, whose, protected datagram), in the order of time."""
        items = (_Item * len(schedule))()
        for item, (due, end, datagram) in zip(items, schedule, strict=True):
            item.due, item.end, item.length = int(due * 1e9), end, len(datagram)
        self._held = (b"".join(datagram for *_, datagram in schedule), items)
        assert Ends._library is not None
        Ends._library.ends_load(ctypes.byref(self._ends), *self._held, len(schedule))

    async def run(self, seconds: float) -> None:
        """Send and read for a while; hand on what is not RTP."""
        assert Ends._library is not None
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            duration = ctypes.c_int64(int(SLICE * 1e9))
            await loop.run_in_executor(None, Ends._library.ends_run, ctypes.byref(self._ends), duration)
            for number in range(self._ends.left_count):
                left = self._ends.left[number]
                self._known[left.end].other(left.taken())

    def samples(self) -> list[bytes]:
        """The first one's newest datagrams, unprotected. Raises where one does not authenticate."""
        kept = range(min(self._ends.sample_count, len(self._ends.samples)))
        packets = [self._known[0].unprotect(self._ends.samples[number].taken()) for number in kept]
        self._ends.sample_count = 0
        return packets


def paced(datagrams: Sequence[bytes], end: int, rate: int, burst: int) -> list[tuple[float, int, bytes]]:
    """A schedule of one publisher: so many per second, so many at once."""
    return [(number // burst * burst / rate, end, datagram) for number, datagram in enumerate(datagrams)]
