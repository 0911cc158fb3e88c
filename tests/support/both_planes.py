"""The packet path in Python and the compiled one side by side: each call goes to both, and both must do the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from media.relay.plane.api import (
    Delivery,
    DownStats,
    DownTrackSpec,
    LayerStats,
    Output,
    PacketTap,
    RtpPlane,
    UpTrackSpec,
)

Told = list[tuple[Any, ...]]


class _Witness:
    """A tap that writes down what it is told, in a list that it shares with others of its plane."""

    def __init__(self, told: Told, tap: PacketTap) -> None:
        self._told, self.tap = told, tap

    def layer(self, *what: Any) -> None:
        self._told.append((self.tap, "layer", *what))

    def rtp(self, *what: Any) -> None:
        self._told.append((self.tap, "rtp", *what))

    def sender_report(self, *what: Any) -> None:
        self._told.append((self.tap, "sender_report", *what))


class BothPlanes:
    """Implements `RtpPlane`. What the first one says is handed on, once the second has said it too."""

    def __init__(self, make: tuple[Callable[[Output], RtpPlane], ...], output: Output) -> None:
        self._output = output
        self._sent: list[list[tuple[int, bytes]]] = [[] for _ in make]
        self._told: list[Told] = [[] for _ in make]
        self._taps: list[tuple[int, PacketTap, list[_Witness]]] = []
        self.planes = [
            plane(lambda *datagram, sent=sent: sent.append(datagram))
            for plane, sent in zip(make, self._sent, strict=True)
        ]

    def _each(self, call: Callable[[int, RtpPlane], Any]) -> Any:
        results: list[tuple[Any, Exception | None]] = []
        for index, plane in enumerate(self.planes):
            try:
                results.append((call(index, plane), None))
            except (KeyError, ValueError) as error:
                results.append((None, error))
        (first, refusal), *others = results
        for other, other_refusal in others:
            assert repr(other_refusal) == repr(refusal)
            assert other == first
        for sent, told in zip(self._sent, self._told, strict=True):
            assert sent == self._sent[0], "the planes send different datagrams"
            assert told == self._told[0], "the planes tell taps different things"
        datagrams, events = list(self._sent[0]), list(self._told[0])
        for collected in (*self._sent, *self._told):
            collected.clear()
        for datagram in datagrams:
            self._output(*datagram)
        for tap, what, *values in events:
            getattr(tap, what)(*values)
        if refusal is not None:
            raise refusal
        return first

    def add_session(self, session: int) -> None:
        self._each(lambda _, plane: plane.add_session(session))

    def set_keys(self, session: int, profile: str, receive_key: bytes, send_key: bytes) -> None:
        self._each(lambda _, plane: plane.set_keys(session, profile, receive_key, send_key))

    def remove_session(self, session: int) -> None:
        self._each(lambda _, plane: plane.remove_session(session))

    def receive(self, session: int, datagram: bytes, now: float) -> None:
        self._each(lambda _, plane: plane.receive(session, datagram, now))

    def add_up_track(self, session: int, spec: UpTrackSpec) -> None:
        self._each(lambda _, plane: plane.add_up_track(session, spec))

    def remove_up_track(self, track: int) -> None:
        self._each(lambda _, plane: plane.remove_up_track(track))

    def add_down_track(self, session: int, spec: DownTrackSpec) -> None:
        self._each(lambda _, plane: plane.add_down_track(session, spec))

    def remove_down_track(self, down: int) -> None:
        self._each(lambda _, plane: plane.remove_down_track(down))

    def set_layer(self, down: int, max_layer: int) -> None:
        self._each(lambda _, plane: plane.set_layer(down, max_layer))

    def pad(self, down: int, octets: int, now: float) -> None:
        self._each(lambda _, plane: plane.pad(down, octets, now))

    def limit_resends(self, session: int, rate: int) -> None:
        self._each(lambda _, plane: plane.limit_resends(session, rate))

    def request_key_frame(self, track: int, now: float) -> None:
        self._each(lambda _, plane: plane.request_key_frame(track, now))

    def wanted_layer(self, track: int) -> int:
        return int(self._each(lambda _, plane: plane.wanted_layer(track)))

    def add_tap(self, track: int, tap: PacketTap, max_layer: int) -> None:
        witnesses = [_Witness(told, tap) for told in self._told]
        self._each(lambda index, plane: plane.add_tap(track, witnesses[index], max_layer))
        self._taps.append((track, tap, witnesses))

    def remove_tap(self, track: int, tap: PacketTap) -> None:
        for known in [known for known in self._taps if known[:2] == (track, tap)]:
            self._taps.remove(known)
            self._each(lambda index, plane, known=known: plane.remove_tap(track, known[2][index]))  # type: ignore[misc]

    def tick(self, now: float) -> None:
        self._each(lambda _, plane: plane.tick(now))

    def audio_levels(self) -> tuple[tuple[int, int], ...]:
        levels: tuple[tuple[int, int], ...] = self._each(lambda _, plane: plane.audio_levels())
        return levels

    def remote_bandwidth(self, session: int) -> int:
        return int(self._each(lambda _, plane: plane.remote_bandwidth(session)))

    def deliveries(self) -> tuple[Delivery, ...]:
        deliveries: tuple[Delivery, ...] = self._each(lambda _, plane: plane.deliveries())
        return deliveries

    def up_stats(self) -> tuple[LayerStats, ...]:
        stats: tuple[LayerStats, ...] = self._each(lambda _, plane: plane.up_stats())
        return stats

    def down_stats(self) -> tuple[DownStats, ...]:
        stats: tuple[DownStats, ...] = self._each(lambda _, plane: plane.down_stats())
        return stats

    def drops(self) -> tuple[tuple[str, int], ...]:
        drops: dict[str, int] = self._each(lambda _, plane: dict(plane.drops()))
        return tuple(drops.items())
